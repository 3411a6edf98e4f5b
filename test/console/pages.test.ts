/** The files of the page, and the headers of every answer. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../service.ts';
import { Browser, send } from './browser-client.ts';
import { servePages } from './page-server.ts';

/** Every header that a browser obeys, on every answer. */
const ALWAYS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

let scrip: TestService;
let browser: Browser;
beforeAll(async () => {
  scrip = await startTestService({ env: { ADMIN_PORT: '0' } });
  browser = new Browser(scrip);
});
afterAll(() => scrip.stop());

test.each([
  ['GET', '/'],
  ['GET', '/console'],
  ['GET', '/console/'],
  ['GET', '/console/accounts/acme'],
  ['POST', '/console/'],
  ['GET', '/console/assets/nothing.js'],
  ['GET', '/console/api/session'],
  ['GET', '/console/api/live'],
  ['GET', '/console/api/nothing'],
  ['DELETE', '/console/api/session'],
  ['POST', '/console/api/rpc/billing.v1.PlanService/ListPlans'],
])('%s %s has every header', async (method, path) => {
  const { headers } = await browser.send({ method, path });
  expect(headers).toMatchObject(ALWAYS);
});

test.each(['/console/api/session', '/console/api/live', '/console/api/nothing'])(
  'what %s says is kept nowhere',
  async (path) => {
    const { headers } = await browser.send({ path });
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-type']).toBe('application/json');
  },
);

test.each(['/', '/console'])('%s leads to the console', async (path) => {
  const { status, headers } = await browser.send({ path });
  expect([status, headers.location]).toEqual([302, '/console/']);
});

describe('files', () => {
  const INDEX = '<!doctype html><title>the page</title>';
  let directory: string;
  let port: number;
  let stop: () => Promise<void>;
  const get = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
    send(port, { method, path, headers: { host: 'localhost', ...headers } });

  beforeAll(async () => {
    const above = await mkdtemp(join(tmpdir(), 'scrip-page-'));
    directory = join(above, 'console');
    await mkdir(join(directory, 'assets', 'inner'), { recursive: true });
    await writeFile(join(above, 'secret.js'), 'secret');
    await writeFile(join(directory, 'web-console.js'), 'the server');
    await writeFile(join(directory, 'index.html'), INDEX);
    await writeFile(join(directory, 'assets/main-AB12.js'), 'let page = 1;');
    await writeFile(join(directory, 'assets/main-CD34.css'), 'p{}');
    await writeFile(join(directory, 'assets/icon-EF56.svg'), '<svg/>');
    await writeFile(join(directory, 'assets/main-AB12.js.map'), '{}');
    ({ port, stop } = await servePages(directory));
  });
  afterAll(async () => {
    await stop();
    await rm(join(directory, '..'), { recursive: true });
  });

  test.each([
    '/console/',
    '/console/accounts/acme',
    '/console/accounts/a.b%2Fc?tab=history',
    '/console/plans',
    '/console/index.html',
  ])('%s is the page, which is asked for anew each time', async (path) => {
    const { status, text, headers } = await get(path);
    expect([status, text]).toEqual([200, INDEX]);
    expect(headers).toMatchObject({
      ...ALWAYS,
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
    });
  });

  test.each([
    ['main-AB12.js', 'text/javascript; charset=utf-8', 'let page = 1;'],
    ['main-CD34.css', 'text/css; charset=utf-8', 'p{}'],
    ['icon-EF56.svg', 'image/svg+xml', '<svg/>'],
  ])('%s is kept for ever', async (name, type, content) => {
    const { status, text, headers } = await get(`/console/assets/${name}`);
    expect([status, text]).toEqual([200, content]);
    expect(headers).toMatchObject({
      ...ALWAYS,
      'content-type': type,
      'cache-control': 'public, max-age=31536000, immutable',
    });
  });

  test.each([
    '/console/assets/',
    '/console/assets/../index.html',
    '/console/assets/../web-console.js',
    '/console/assets/../../secret.js',
    '/console/assets/..%2f..%2fsecret.js',
    '/console/assets/%2e%2e/%2e%2e/secret.js',
    '/console/assets/..\\..\\secret.js',
    '/console/assets//etc/passwd',
    '/console/assets/inner',
    '/console/assets/main-AB12.js/',
    '/console/assets/main-AB12.js%00.svg',
    '/console/assets/main-AB12.js.map',
    '/console/assets/__proto__',
  ])('%s is no file', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  test.each([
    '/console/../../secret.js',
    '/console/../secret.js',
    '/console/web-console.js',
    '/console/%2e%2e/secret.js',
  ])('%s leads to no other file', async (path) => {
    expect((await get(path)).text).toBe(INDEX);
  });

  test('are compressed for who can read that', async () => {
    const { headers } = await get('/console/assets/main-AB12.js', {
      'accept-encoding': 'br, gzip',
    });
    expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' });
    const response = await fetch(`http://localhost:${port}/console/assets/main-AB12.js`);
    expect(await response.text()).toBe('let page = 1;');
  });

  test('HEAD has the headers alone', async () => {
    const { status, text, headers } = await get('/console/', {}, 'HEAD');
    expect([status, text]).toEqual([200, '']);
    expect(headers['content-length']).toBe(String(INDEX.length));
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is refused', async (method) => {
    expect((await get('/console/', {}, method)).status).toBe(405);
  });
});

test('without a build the answer says how to make one', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'scrip-page-'));
  const { port, stop } = await servePages(empty);
  const { status, text } = await send(port, { path: '/console/', headers: { host: 'localhost' } });
  expect(status).toBe(503);
  expect(text).toContain('npm run build:console');
  await stop();
  await rm(empty, { recursive: true });
});
