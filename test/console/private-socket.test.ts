/** The socket through which the console calls: who can reach it, and what a call through it must show. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import {
  type Authority,
  createAuthority,
  createTlsDirectory,
  signServer,
  type TlsDirectory,
} from '../authentication/authority.ts';
import { clientOf, tlsOf } from '../authentication/client.ts';
import { issuerOf, KeyServer, TokenKey } from '../authentication/token-authority.ts';
import { captureLog } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService } from '../service.ts';
import { Browser } from './browser-client.ts';

const SAVED = process.env['TMPDIR'];
/** All sockets of this test's services are in it. */
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-socket-'));
  process.env['TMPDIR'] = directory;
});
afterEach(async () => {
  if (SAVED === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = SAVED;
  await rm(directory, { recursive: true, force: true });
});

async function socketPath(): Promise<string> {
  const [name = ''] = await readdir(directory);
  return join(directory, name, 'grpc');
}

test('only the user of the service can enter its directory, which goes when the service stops', async () => {
  const scrip = await startTestService({ env: { ADMIN_PORT: '0' } });
  const path = await socketPath();
  expect((await stat(path)).isSocket()).toBe(true);
  expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
  await scrip.stop();
  expect(existsSync(join(path, '..'))).toBe(false);
});

test.each([{ CONSOLE: 'false', ADMIN_PORT: '0' }, { ADMIN_PORT: 'none' }])(
  'there is none with %o',
  async (env) => {
    const scrip = await startTestService({ env });
    expect((await readdir(directory)).filter((name) => name.includes('console'))).toEqual([]);
    await scrip.stop();
  },
);

test('where there can be none the service does without a console, and says so', async () => {
  process.env['TMPDIR'] = join(directory, 'missing');
  const { log, lines } = captureLog('error');
  const scrip = await startTestService({ env: { ADMIN_PORT: '0' }, log });
  expect(lines.map(({ msg }) => msg)).toEqual(['there is no web console']);
  const browser = new Browser(scrip);
  expect((await browser.send({ path: '/console/' })).status).toBe(404);
  expect((await browser.send({ path: '/readyz' })).status).toBe(200);
  await scrip.stop();
});

test('a directory whose name is too long for a socket is reported', async () => {
  process.env['TMPDIR'] = join(directory, 'x'.repeat(90));
  await mkdir(process.env['TMPDIR']);
  const { log, lines } = captureLog('error');
  const scrip = await startTestService({ env: { ADMIN_PORT: '0' }, log });
  expect(JSON.stringify(lines)).toMatch(/too long for a socket: set TMPDIR/);
  expect(await readdir(process.env['TMPDIR'])).toEqual([]);
  await scrip.stop();
});

describe('where the gRPC port has TLS', () => {
  let authority: Authority;
  let tls: TlsDirectory;
  let key: TokenKey;
  let keys: KeyServer;
  beforeAll(async () => {
    authority = await createAuthority();
    tls = await createTlsDirectory(await signServer(authority), authority.certificate);
    key = await TokenKey.create('one');
    keys = await KeyServer.start(key);
  });
  afterAll(async () => {
    await keys.stop();
    await tls.remove();
  });

  test('a call through it needs a token: there is no certificate, and no name is believed', async () => {
    const pair = await authority.sign({ commonName: 'renderer' });
    const scrip = await startTestService({
      env: { ...tls.env, ADMIN_PORT: '0' },
      tokenIssuers: [issuerOf({ url: keys.url })],
      client: { tls: tlsOf(authority.certificate, pair) },
    });
    const through = `unix:${await socketPath()}`;
    const named = connect(through, { caller: 'test' });
    const error = await errorOf(named.plans.listPlans({}));
    expect(error).toMatchObject({ code: status.UNAUTHENTICATED, reason: 'CALLER_UNKNOWN' });
    expect(error.metadata['problem']).toBe('NO_CREDENTIALS');
    const bad = connect(through, { token: 'a.b.c' });
    expect(await errorOf(bad.plans.listPlans({}))).toMatchObject({ reason: 'CALLER_UNKNOWN' });
    const good = connect(through, { token: await key.sign() });
    expect((await good.plans.listPlans({})).plans.length).toBeGreaterThan(0);
    for (const client of [named, bad, good]) client.close();

    // Certificates count on the port as before.
    const certified = clientOf(scrip, { tls: tlsOf(authority.certificate, pair) });
    expect((await certified.plans.listPlans({})).plans.length).toBeGreaterThan(0);

    const browser = new Browser(scrip);
    expect((await browser.rpc('PlanService/ListPlans', {})).status).toBe(401);
    await browser.signIn(await key.sign());
    expect((await browser.rpc('PlanService/ListPlans', {})).status).toBe(200);
    expect((await browser.session()).caller).toBe('cluster:renderer');
    await scrip.stop();
  });
});
