/** Certificates are replaced while the service runs. */
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { DAY, MINUTE } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import {
  type Authority,
  createAuthority,
  createTlsDirectory,
  type Pair,
  signServer,
  type TlsDirectory,
} from './authority.ts';
import { callerOf, clientOf, tlsOf } from './client.ts';

let authority: Authority;
let renderer: Pair;
let databaseUrl: string;
beforeAll(async () => {
  authority = await createAuthority();
  renderer = await authority.sign({ commonName: 'renderer' });
  const first = await startTestService();
  ({ databaseUrl } = first);
  await first.stop();
});

/** A service with mutual TLS, and its files, for one test. */
async function start(
  server: Pair,
  options: TestOptions = {},
): Promise<TestService & { readonly files: TlsDirectory }> {
  const files = await createTlsDirectory(server, authority.certificate);
  onTestFinished(() => files.remove());
  const client = { tls: tlsOf(authority.certificate, renderer) };
  const env = { ...files.env, ...options.env };
  const service = await startTestService({ databaseUrl, client, ...options, env });
  onTestFinished(() => service.stop());
  return { ...service, files };
}

const client = (service: TestService, pair = renderer, ca = authority.certificate) =>
  clientOf(service, { tls: tlsOf(ca, pair) });

/** The fingerprint of the certificate that new connections see. */
async function shownBy({ service }: TestService): Promise<string> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: service.port,
    ca: authority.certificate,
    cert: renderer.certificate,
    key: renderer.key,
    ALPNProtocols: ['h2'],
  });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

describe('the certificate of the service', () => {
  test('is replaced under load without a failed call', async () => {
    const scrip = await start(await signServer(authority));
    const shown = new Set([await shownBy(scrip)]);
    const persistent = [client(scrip), client(scrip)];
    let calls = 0;
    let isLoading = true;
    const load = async (call: () => Promise<unknown>) => {
      while (isLoading) {
        await call();
        calls += 1;
      }
    };
    const onNewConnection = async () => {
      const own = client(scrip);
      await own.plans.listPlans({});
      own.close();
    };
    const loads = [
      ...persistent.map(({ plans }) => load(() => plans.listPlans({}))),
      load(onNewConnection),
      load(onNewConnection),
    ];
    for (let rotation = 1; rotation <= 5; rotation++) {
      await scrip.files.write({ server: await signServer(authority) });
      await scrip.service.reload();
      shown.add(await shownBy(scrip));
      expect(shown.size).toBe(1 + rotation);
      const before = calls;
      await expect.poll(() => calls, { timeout: 60_000 }).toBeGreaterThan(before + 20);
    }
    isLoading = false;
    // A call that failed would reject.
    await Promise.all(loads);
  });

  test('stays in use while the new files are broken or do not match, which is logged once', async () => {
    const { log, lines } = captureLog('debug');
    const server = await signServer(authority);
    const scrip = await start(server, { log });
    const before = await shownBy(scrip);
    const warnings = () =>
      lines.filter(({ msg }) => msg === 'certificates not reloaded; the previous are in use');
    const other = await signServer(authority);
    // The certificate has been replaced, its key not yet.
    await scrip.files.write({ server: { ...other, key: server.key } });
    await scrip.service.reload();
    await scrip.service.reload();
    expect(warnings()).toHaveLength(1);
    await scrip.files.write({ server: { ...other, certificate: Buffer.from('garbage') } });
    await scrip.service.reload();
    expect(warnings()).toHaveLength(2);
    expect(await shownBy(scrip)).toBe(before);
    expect(await callerOf(client(scrip))).toBe('cn:renderer');

    await scrip.files.write({ server: other });
    await scrip.service.reload();
    expect(await shownBy(scrip)).not.toBe(before);
    expect(JSON.stringify(lines)).not.toContain(other.key.toString('base64').slice(40, 80));
  });

  test('is reported once if it expires within 14 days', async () => {
    const { log, lines } = captureLog('debug');
    const reports = () =>
      lines.filter(({ msg }) => msg === "the service's certificate expires soon");
    const scrip = await start(await signServer(authority, { validTo: 15 * DAY }), { log });
    await scrip.service.reload();
    expect(reports()).toEqual([]);
    scrip.advance(DAY + MINUTE);
    await scrip.service.reload();
    await scrip.service.reload();
    expect(reports()).toHaveLength(1);
  });

  test.each<[string, (server: Pair) => Pair]>([
    ['garbage', (server) => ({ ...server, certificate: Buffer.from('garbage') })],
    ['without its key', (server) => ({ ...server, key: renderer.key })],
  ])('that is %s keeps the service from starting', async (_, broken) => {
    await expect(start(broken(await signServer(authority)))).rejects.toThrow(
      /server\.pem and \/.*server\.key are not a certificate and its key/,
    );
  });
});

describe('the CAs of clients', () => {
  test('a removed CA opens no new connection, and what is open goes on', async () => {
    const next = await createAuthority('Next CA');
    const scrip = await start(await signServer(authority));
    const open = client(scrip);
    expect(await callerOf(open)).toBe('cn:renderer');
    const newRenderer = await next.sign({ commonName: 'new-renderer' });
    const refused = { code: status.UNAVAILABLE, reason: '' };
    await expect(client(scrip, newRenderer).plans.listPlans({})).rejects.toMatchObject(refused);

    // Both are trusted while clients change over.
    await scrip.files.write({ ca: Buffer.concat([authority.certificate, next.certificate]) });
    await scrip.service.reload();
    expect(await callerOf(client(scrip))).toBe('cn:renderer');
    expect(await callerOf(client(scrip, newRenderer))).toBe('cn:new-renderer');

    await scrip.files.write({ ca: next.certificate });
    await scrip.service.reload();
    await expect(client(scrip).plans.listPlans({})).rejects.toMatchObject(refused);
    expect(await callerOf(client(scrip, newRenderer))).toBe('cn:new-renderer');
    expect(await callerOf(open)).toBe('cn:renderer');
  });

  test.each([
    ['is empty', Buffer.alloc(0), /ca\.pem has no certificate/],
    [
      'is garbage',
      Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      /ca\.pem has a certificate that cannot be read/,
    ],
  ])('a file that %s leaves the CAs as they are', async (_, ca, problem) => {
    const { log, lines } = captureLog('debug');
    const scrip = await start(await signServer(authority), { log });
    await scrip.files.write({ ca });
    await scrip.service.reload();
    expect(lines.find(({ problem: logged }) => problem.test(String(logged)))).toBeDefined();
    expect(await callerOf(client(scrip))).toBe('cn:renderer');
  });
});

test('files are read again by themselves', async () => {
  const server = await signServer(authority);
  const scrip = await start(server, { env: { TLS_RELOAD_INTERVAL_MS: '10' } });
  const before = await shownBy(scrip);
  await scrip.files.write({ server: await signServer(authority) });
  await expect.poll(() => shownBy(scrip), { timeout: 60_000 }).not.toBe(before);
});
