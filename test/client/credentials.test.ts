/** What a client shows of its caller, and to whom. */
import { cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isLoopback } from '../../clients/typescript/src/channel.ts';
import { type ConnectOptions, connect } from '../../clients/typescript/src/index.ts';
import { CALLERS, type ProtectedService, startProtected } from '../clients/protected-service.ts';

let service: ProtectedService;
let folder: string;
let accountId: string;
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  service = await startProtected();
  folder = await mkdtemp(join(tmpdir(), 'scrip-credentials-'));
  await service.writeCredentials(folder);
  accountId = await service.open('perfectparser');
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

/** The caller of a charge of one credit, as its entry names it. */
async function callerWith(options: Partial<ConnectOptions>): Promise<string | undefined> {
  const scrip = connect({ address: service.strictAddress, timeoutMs: 60_000, ...options });
  onTestFinished(() => scrip.close());
  const { entrySeq } = await scrip.billing.charge({ accountId, credits: 1n });
  for await (const entry of scrip.history(accountId, { afterSeq: entrySeq - 1n }))
    return entry.caller;
  return undefined;
}

const filesOf = (name: string) => ({
  caFile: file('ca.pem'),
  certificateFile: file(`${name}.pem`),
  keyFile: file(`${name}.key`),
});

describe('the caller is known by', () => {
  test('a certificate in files', async () => {
    expect(await callerWith({ tls: filesOf('renderer') })).toBe(CALLERS.certificate);
  });

  test('a certificate that is given as PEM', async () => {
    const [ca, certificate, key] = await Promise.all([
      readFile(file('ca.pem'), 'utf8'),
      readFile(file('renderer.pem')),
      readFile(file('renderer.key')),
    ]);
    expect(await callerWith({ tls: { ca, certificate, key } })).toBe(CALLERS.certificate);
  });

  test('a token', async () => {
    const token = await service.signToken();
    const tls = { caFile: file('ca.pem') };
    expect(await callerWith({ address: service.address, tls, token })).toBe(CALLERS.token);
  });

  test('a token that is asked for with each call', async () => {
    const asked: string[] = [];
    const token = async () => {
      const text = (await readFile(file('token'), 'utf8')).trim();
      asked.push(text);
      return text;
    };
    const tls = { caFile: file('ca.pem') };
    expect(await callerWith({ address: service.address, tls, token })).toBe(CALLERS.token);
    expect(asked.length).toBeGreaterThan(1);
  });
});

test('a certificate that may not charge is refused by name', async () => {
  await expect(callerWith({ tls: filesOf('viewer') })).rejects.toMatchObject({
    reason: 'CALLER_NOT_ALLOWED',
    caller: expect.stringContaining('viewer'),
    method: 'Charge',
  });
});

test('a certificate that is replaced in its files counts for new connections', async () => {
  const copy = await mkdtemp(join(tmpdir(), 'scrip-rotated-'));
  onTestFinished(() => rm(copy, { recursive: true }));
  const replaceBy = async (name: string) => {
    for (const [from, to] of [
      ['ca.pem', 'ca.pem'],
      [`${name}.pem`, 'own.pem'],
      [`${name}.key`, 'own.key'],
    ] as const) {
      await cp(file(from), join(copy, `${to}.new`));
      await rename(join(copy, `${to}.new`), join(copy, to));
    }
  };
  await replaceBy('viewer');
  const tls = {
    caFile: join(copy, 'ca.pem'),
    certificateFile: join(copy, 'own.pem'),
    keyFile: join(copy, 'own.key'),
  };
  await expect(callerWith({ tls })).rejects.toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
  await replaceBy('renderer');
  expect(await callerWith({ tls })).toBe(CALLERS.certificate);
});

describe('connect() refuses', () => {
  test('a token without TLS to another machine', () => {
    const options = { address: 'billing:50051', token: 'secret' };
    expect(() => connect(options)).toThrow('a token is sent over TLS only');
  });

  test('a certificate without its key', () => {
    const { caFile, certificateFile } = filesOf('renderer');
    const options = { address: 'billing:50051', tls: { caFile, certificateFile } };
    expect(() => connect(options)).toThrow('a certificate and its key are needed together');
  });

  test('a file that is not there', () => {
    const options = { address: 'billing:50051', tls: { caFile: file('none.pem') } };
    expect(() => connect(options)).toThrow('none.pem');
  });
});

test('a token that is not one word ends the call without showing it', async () => {
  const tls = { caFile: file('ca.pem') };
  const call = callerWith({ address: service.address, tls, token: 'two secrets' });
  await expect(call).rejects.toThrow('the token is not one word');
  await expect(call).rejects.not.toThrow('secrets');
});

test.each([
  ['localhost:50051', true],
  ['127.0.0.1:50051', true],
  ['127.8.8.8:1', true],
  ['[::1]:50051', true],
  ['dns:localhost:50051', true],
  ['dns:///localhost:50051', true],
  ['ipv4:127.0.0.1:1,127.0.0.1:2', true],
  ['ipv6:[::1]:1', true],
  ['unix:/run/scrip', true],
  ['ipv4:127.0.0.1:1,10.0.0.1:2', false],
  ['billing:50051', false],
  ['localhost.example.org:50051', false],
  ['10.0.0.1:50051', false],
  ['[::2]:50051', false],
  ['dns:///billing:50051', false],
])('%s is this machine: %s', (target, expected) => {
  expect(isLoopback(target)).toBe(expected);
});
