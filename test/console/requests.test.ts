/** Requests that do not come from the console's own page, or are not what it sends. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LiveFigures } from '../../src/console/live-figures.ts';
import { captureLog } from '../disruptions.ts';
import { startTestService, type TestService } from '../service.ts';
import { Browser, type Sent, send } from './browser-client.ts';
import { servePages } from './page-server.ts';

const PROXY = 'https://scrip.example.org';
const BALANCE = '/console/api/rpc/billing.v1.BillingService/GetBalance';

let scrip: TestService;
let browser: Browser;
let accountId: string;
const { log, lines } = captureLog('debug');
beforeAll(async () => {
  scrip = await startTestService({ env: { ADMIN_PORT: '0', CONSOLE_ORIGINS: PROXY }, log });
  browser = new Browser(scrip);
  accountId = await scrip.open('verts');
});
afterAll(() => scrip.stop());
// Whatever others send is no bug of the service.
afterEach(() => expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]));

const balance = (): Sent => ({
  method: 'POST',
  path: BALANCE,
  body: JSON.stringify({ accountId }),
});

const statusOf = async (sent: Sent) => {
  const { status, text } = await browser.send(sent);
  return [status, status === 200 ? '' : JSON.parse(text).error.reason];
};

describe('the name of the host', () => {
  test.each([
    ['localhost'],
    ['localhost:1234'],
    ['127.0.0.1:9464'],
    ['10.1.2.3'],
    ['[::1]:9464'],
    ['scrip.example.org'],
  ])('%s is answered', async (host) => {
    expect(await statusOf({ path: '/console/api/session', headers: { host } })).toEqual([200, '']);
  });

  test.each([
    ['evil.example'],
    ['evil.example:9464'],
    ['localhost.evil.example'],
    ['localhost:80:evil.example'],
    ['127.0.0.1.evil.example'],
    ['scrip.example.org:444'],
    ['scrip.example.org.'],
    [''],
  ])('%s is refused, for the page and what it asks', async (host) => {
    const headers = { host, origin: `http://${host}` };
    expect(await statusOf({ path: '/console/api/session', headers })).toEqual([
      421,
      'CONSOLE_HOST',
    ]);
    expect(await statusOf({ ...balance(), headers })).toEqual([421, 'CONSOLE_HOST']);
    expect((await browser.send({ path: '/console/', headers })).status).toBe(421);
  });

  test('does not matter to metrics and probes', async () => {
    for (const path of ['/metrics', '/livez', '/readyz'])
      expect((await browser.send({ path, headers: { host: 'replica-1' } })).status).toBe(200);
  });
});

describe('the origin', () => {
  test.each([
    ['another site', 'https://evil.example'],
    ['another port of this host', 'http://localhost:1'],
    ['this host with TLS', 'https://localhost'],
    ['a sandboxed frame', 'null'],
    ['nothing', ''],
    ['a site whose name begins as the proxy', `${PROXY}.evil.example`],
    ['the proxy without TLS', 'http://scrip.example.org'],
  ])('%s is refused', async (_, origin) => {
    for (const sent of [balance(), { path: '/console/api/session' }, { path: '/console/api/live' }])
      expect(await statusOf({ ...sent, headers: { origin } })).toEqual([403, 'CONSOLE_ORIGIN']);
  });

  test('a request that changes something, and has none, is refused', async () => {
    const headers = { origin: undefined };
    expect(await statusOf({ ...balance(), headers })).toEqual([403, 'CONSOLE_ORIGIN']);
    const signOut = { method: 'DELETE', path: '/console/api/session', headers };
    expect(await statusOf(signOut)).toEqual([403, 'CONSOLE_ORIGIN']);
  });

  test('the proxy of the configuration is answered, under its own name and another', async () => {
    for (const host of ['scrip.example.org', browser.host])
      expect(await statusOf({ ...balance(), headers: { host, origin: PROXY } })).toEqual([200, '']);
  });

  test.each(['cross-site', 'same-site', 'none'])('a fetch that is %s is refused', async (site) => {
    const headers = { 'sec-fetch-site': site };
    expect(await statusOf({ ...balance(), headers })).toEqual([403, 'CONSOLE_ORIGIN']);
  });

  test('a browser that does not say where a fetch comes from is answered', async () => {
    const headers = { 'sec-fetch-site': undefined };
    expect(await statusOf({ ...balance(), headers })).toEqual([200, '']);
  });

  test.each([[undefined], ['0'], ['1, 1']])('the own header %s is refused', async (value) => {
    const headers = { 'x-scrip-console': value };
    for (const sent of [balance(), { path: '/console/api/session' }])
      expect(await statusOf({ ...sent, headers })).toEqual([403, 'CONSOLE_HEADER']);
  });

  test('no answer lets other origins read it', async () => {
    const preflight = {
      method: 'OPTIONS',
      path: BALANCE,
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    };
    for (const sent of [preflight, balance()]) {
      const { headers } = await browser.send(sent);
      const cors = Object.keys(headers).filter((name) => name.startsWith('access-control'));
      expect(cors).toEqual([]);
      expect(headers['cross-origin-resource-policy']).toBe('same-origin');
    }
  });
});

describe('the body', () => {
  test.each([
    [undefined],
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['application/json; charset=utf-16'],
    ['application/jsonp'],
  ])('as %s is refused', async (type) => {
    const headers = { 'content-type': type };
    expect(await statusOf({ ...balance(), headers })).toEqual([415, 'CONSOLE_CONTENT_TYPE']);
  });

  const padded = (size: number) => {
    const json = JSON.stringify({ accountId });
    return json + ' '.repeat(size - json.length);
  };

  test('of 64 KiB is read, and of more is refused, whether it says its size or not', async () => {
    const largest = { ...balance(), body: padded(65_536) };
    expect(await statusOf(largest)).toEqual([200, '']);
    const larger = { ...balance(), body: padded(65_537) };
    expect(await statusOf(larger)).toEqual([413, 'CONSOLE_BODY_TOO_LARGE']);
    const chunked = { ...larger, headers: { 'transfer-encoding': 'chunked' } };
    expect(await statusOf(chunked)).toEqual([413, 'CONSOLE_BODY_TOO_LARGE']);
  });

  test('that never ends is answered, and its connection closed', async () => {
    const socket = connect(browser.port, '127.0.0.1');
    socket.on('error', () => {});
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    const closed = once(socket, 'close');
    socket.write(
      `POST ${BALANCE} HTTP/1.1\r\nhost: ${browser.host}\r\norigin: http://${browser.host}\r\n` +
        'x-scrip-console: 1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    for (let sent = 0; sent < 6 && socket.writable; sent += 1) socket.write(chunk);
    await closed;
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });

  test('that is cut off is no bug', async () => {
    const socket = connect(browser.port, '127.0.0.1');
    socket.write(
      `POST ${BALANCE} HTTP/1.1\r\nhost: ${browser.host}\r\norigin: http://${browser.host}\r\n` +
        'x-scrip-console: 1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
    );
    // An answer on another connection: the first one has been received by then.
    await browser.session();
    socket.destroy();
    await once(socket, 'close');
    expect(await statusOf(balance())).toEqual([200, '']);
  });

  test.each([
    ['nothing', ''],
    ['half of it', '{"accountId": "a'],
    ['no object', '"acme"'],
    ['null', 'null'],
    ['a list', '[{"accountId": "acme"}]'],
    ['two of them', '{}{}'],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a prototype', '{"__proto__": {"accountId": "acme"}}'],
    ['a prototype within', '{"accountId": "acme", "x": {"__proto__": {"isAdmin": true}}}'],
    ['a constructor', '{"constructor": {"prototype": {"isAdmin": true}}}'],
    ['an unknown field', '{"accountId": "acme", "accountID": "other"}'],
    ['a number for a text', '{"accountId": 7}'],
    ['a list for a text', '{"accountId": ["acme"]}'],
    ['a text for a flag', '{"accountId": "acme", "includeGrants": "true"}'],
    ['half a character', '{"accountId": "\\ud800"}'],
    ['many brackets', '['.repeat(60_000)],
    ['many objects', `${'{"accountId":'.repeat(4_000)}1${'}'.repeat(4_000)}`],
  ])('that is %s is refused', async (_, body) => {
    expect(await statusOf({ ...balance(), body })).toEqual([400, 'CONSOLE_JSON']);
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined();
  });

  test('that names a field in two ways, or twice, says one thing', async () => {
    const twice = `{"account_id": "other", "accountId": "${accountId}"}`;
    const [status, reason] = await statusOf({ ...balance(), body: twice });
    expect([status, reason]).toEqual([400, 'CONSOLE_JSON']);
  });

  test('a number that JavaScript cannot hold is refused, and as a text is exact', async () => {
    const path = '/console/api/rpc/billing.v1.BillingService/StreamHistory';
    const of = (afterSeq: string) => `{"accountId": "${accountId}", "afterSeq": ${afterSeq}}`;
    const sent = (afterSeq: string) => ({ method: 'POST', path, body: of(afterSeq) });
    expect(await statusOf(sent('9007199254740993'))).toEqual([400, 'CONSOLE_JSON']);
    const { text } = await browser.send(sent('"9007199254740993"'));
    expect(text).toContain('9007199254740993');
  });
});

describe('the path', () => {
  test.each([
    ['Reserve', 'billing.v1.BillingService/Reserve'],
    ['Charge', 'billing.v1.BillingService/Charge'],
    ['Batch', 'billing.v1.BillingService/Batch'],
    ['OpenAccount', 'billing.v1.AccountService/OpenAccount'],
    ['EraseAccountData', 'billing.v1.AccountService/EraseAccountData'],
    ['StreamEvents', 'billing.v1.EventService/StreamEvents'],
    ['a method of another service', 'billing.v1.AccountService/GetBalance'],
    ['health', 'grpc.health.v1.Health/Check'],
    ['reflection', 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo'],
    ['no service', 'GetBalance'],
    ['a property of objects', 'constructor'],
    ['a path out of it', '../session'],
    ['other letters', 'billing.v1.billingservice/getbalance'],
    ['nothing', ''],
  ])('of %s is refused', async (_, method) => {
    const sent = { ...balance(), path: `/console/api/rpc/${method}` };
    expect(await statusOf(sent)).toEqual([404, 'CONSOLE_PATH']);
  });

  test.each([
    ['GET', BALANCE, 405],
    ['PUT', '/console/api/session', 405],
    ['POST', '/console/api/live', 405],
    ['GET', '/console/api/', 404],
    ['GET', '/console/api/nothing', 404],
    ['GET', '/console/api/session/', 404],
  ])('%s %s: %i', async (method, path, status) => {
    expect((await browser.send({ method, path })).status).toBe(status);
  });

  test('is as it is sent: nothing in it is resolved', async () => {
    const path = '/console/../console/api/session';
    const { status, headers } = await send(browser.port, {
      path,
      headers: { host: browser.host, 'x-scrip-console': '1' },
    });
    expect([status, headers['content-type']]).not.toEqual([200, 'application/json']);
  });
});

test('the console follows no stream', async () => {
  const path = '/console/api/rpc/billing.v1.BillingService/StreamHistory';
  const body = JSON.stringify({ accountId, follow: true });
  expect(await statusOf({ method: 'POST', path, body })).toEqual([400, 'CONSOLE_JSON']);
});

test('without a policy anybody on this host reads, and nobody acts or signs in', async () => {
  expect(await browser.session()).toMatchObject({
    caller: 'console',
    signedIn: false,
    needsSignIn: false,
    canSignIn: false,
    canAct: false,
  });
  const grant = { accountId, requestId: 'r', credits: '1', category: 'CATEGORY_PAID', reason: 'x' };
  const acted = await browser.rpc('AccountService/GrantCredits', grant);
  expect(acted.json.error.reason).toBe('CONSOLE_NO_POLICY');
  const signedIn = await browser.signIn('a.b.c');
  expect(JSON.parse(signedIn.text).error.reason).toBe('CONSOLE_NO_POLICY');
  expect(signedIn.headers['set-cookie']).toBeUndefined();
});

test('without a policy nobody reads where other machines reach the admin port', async () => {
  const open = await startTestService({ env: { ADMIN_PORT: '0', ADMIN_HOST: '0.0.0.0' } });
  const visitor = new Browser(open);
  expect(await visitor.session()).toMatchObject({
    caller: null,
    needsSignIn: true,
    canSignIn: false,
    methods: [],
    traceUrlTemplate: null,
  });
  const { status, json } = await visitor.rpc('PlanService/ListPlans', {});
  expect([status, json.error.reason]).toEqual([401, 'CONSOLE_SIGN_IN']);
  expect((await visitor.send({ path: '/console/api/live' })).status).toBe(401);
  await open.stop();
});

test('32 requests are answered at a time, and more are told to come again', async () => {
  const held = Promise.withResolvers<LiveFigures>();
  let looking = 0;
  const { port, stop } = await servePages('/nowhere', () => {
    looking += 1;
    return held.promise;
  });
  const live = () =>
    send(port, {
      path: '/console/api/live',
      headers: { host: 'localhost', 'x-scrip-console': '1' },
    });
  const waiting = Array.from({ length: 32 }, live);
  await expect.poll(() => looking, { timeout: 120_000 }).toBe(32);
  const { status, text } = await live();
  expect([status, JSON.parse(text).error]).toEqual([
    503,
    expect.objectContaining({ reason: 'CONSOLE_BUSY', retryAfterMs: 500 }),
  ]);
  held.resolve({} as LiveFigures);
  for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
  expect((await live()).status).toBe(200);
  await stop();
});

test('CONSOLE=false leaves nothing of it', async () => {
  const without = await startTestService({ env: { ADMIN_PORT: '0', CONSOLE: 'false' } });
  const visitor = new Browser(without);
  for (const path of ['/', '/console', '/console/', '/console/api/session'])
    expect((await visitor.send({ path })).status).toBe(404);
  expect((await visitor.send({ path: '/livez' })).status).toBe(200);
  await without.stop();
});
