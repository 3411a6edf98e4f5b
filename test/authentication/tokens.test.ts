/** Bearer tokens: whose are accepted, whom they name, and how their keys are rotated. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { UrlKeys } from '../../src/authentication/issuer-keys.ts';
import type { ConnectOptions } from '../../src/client.ts';
import type { TokenIssuer } from '../../src/policy/token-issuer.ts';
import { HOUR, MINUTE } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { healthOf } from '../health.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  createTlsDirectory,
  type Pair,
  signServer,
  type TlsDirectory,
} from './authority.ts';
import { callerOf, clientOf, tlsOf } from './client.ts';
import {
  inSeconds,
  issuerOf,
  KeyFile,
  KeyServer,
  keySetOf,
  type TokenClaims,
  TokenKey,
  unsigned,
} from './token-authority.ts';

let authority: Authority;
let tls: TlsDirectory;
let key: TokenKey;
let keys: KeyServer;
let scrip: TestService;
let databaseUrl: string;

/** The debug log of `scrip`. */
const { log, lines } = captureLog('debug');

/** A service with TLS that accepts tokens of these issuers. */
async function start(
  tokenIssuers: readonly TokenIssuer[],
  options: TestOptions = {},
): Promise<TestService> {
  const env = { ...tls.env, TLS_CLIENT_CA_FILE: '', ...options.env };
  const client = { tls: tlsOf(authority.certificate) };
  return await startTestService({ databaseUrl, client, ...options, env, tokenIssuers });
}

/** One that is stopped after the test. */
async function startHere(...args: Parameters<typeof start>): Promise<TestService> {
  const service = await start(...args);
  onTestFinished(() => service.stop());
  return service;
}

beforeAll(async () => {
  authority = await createAuthority();
  tls = await createTlsDirectory(await signServer(authority), authority.certificate);
  key = await TokenKey.create('first');
  keys = await KeyServer.start(key);
  const first = await startTestService();
  ({ databaseUrl } = first);
  await first.stop();
  const requiredClaims = { 'kubernetes.io': { namespace: 'media' }, groups: 'billing' };
  scrip = await start(
    [
      issuerOf({ url: keys.url }),
      issuerOf({ url: keys.url }, { name: 'strict', issuer: 'https://strict', requiredClaims }),
      issuerOf(
        { url: keys.url },
        { name: 'mail', issuer: 'https://mail', callerClaim: 'email', algorithms: ['RS256'] },
      ),
    ],
    { log },
  );
});
afterAll(async () => {
  await scrip.stop();
  await keys.stop();
  await tls.remove();
});

const bearer = (
  token: NonNullable<ConnectOptions['token']>,
  service = scrip,
  options: ConnectOptions = {},
) =>
  clientOf(service, { caller: 'impostor', tls: tlsOf(authority.certificate), token, ...options });

const problemOf = async (token: string, service = scrip): Promise<string | undefined> => {
  const error = await errorOf(bearer(token, service).plans.listPlans({}));
  expect(error).toMatchObject({ code: status.UNAUTHENTICATED, reason: 'CALLER_UNKNOWN' });
  expect(error.retryMs).toBeNull();
  return error.metadata['problem'];
};

describe('a token', () => {
  test('names its caller, whatever x-caller says', async () => {
    expect(await callerOf(bearer(await key.sign()))).toBe('cluster:renderer');
  });

  test('of a Kubernetes service account names that', async () => {
    const sub = 'system:serviceaccount:media:renderer';
    const aud = ['https://kubernetes.default.svc', 'scrip'];
    expect(await callerOf(bearer(await key.sign({ sub, aud })))).toBe(`cluster:${sub}`);
  });

  test('can be read anew for each call', async () => {
    const tokens = [await key.sign({ sub: 'one' }), await key.sign({ sub: 'two' })];
    const { plans } = bearer(async () => tokens.shift() ?? 'none');
    await plans.listPlans({});
    await plans.listPlans({});
    expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_MALFORMED');
  });

  test('is verified once for many calls at the same time', async () => {
    const { plans } = bearer(await key.sign({ sub: 'many' }));
    await Promise.all(Array.from({ length: 50 }, () => plans.listPlans({})));
  });

  test('has the claims that its issuer requires', async () => {
    const claims = {
      iss: 'https://strict',
      'kubernetes.io': { namespace: 'media' },
      groups: ['media', 'billing'],
    };
    expect(await callerOf(bearer(await key.sign(claims)))).toBe('strict:renderer');
  });
});

describe('a token is refused', () => {
  test.each<[string, string, TokenClaims]>([
    ['has expired', 'TOKEN_EXPIRED', { exp: inSeconds(-60) }],
    ['never expires', 'TOKEN_CLAIM', { exp: undefined }],
    ['expires at a time that is no number', 'TOKEN_CLAIM', { exp: 'tomorrow' }],
    ['is not valid yet', 'TOKEN_NOT_YET_VALID', { nbf: inSeconds(60) }],
    ['is for another audience', 'TOKEN_AUDIENCE', { aud: 'other' }],
    ['is for other audiences', 'TOKEN_AUDIENCE', { aud: ['other', 'another'] }],
    ['is for no audience', 'TOKEN_AUDIENCE', { aud: undefined }],
    ['is of another issuer', 'TOKEN_ISSUER', { iss: 'https://other.example.org' }],
    ['is of no issuer', 'TOKEN_ISSUER', { iss: undefined }],
    ['names no caller', 'TOKEN_CLAIM', { sub: undefined }],
    ['names an empty caller', 'TOKEN_CLAIM', { sub: '' }],
    ['names a caller with a space', 'TOKEN_CLAIM', { sub: 'the renderer' }],
    ['names a caller of 250 characters', 'TOKEN_CLAIM', { sub: 'x'.repeat(250) }],
    ['names a caller by a number', 'TOKEN_CLAIM', { sub: 7 }],
    ['lacks a claim', 'TOKEN_CLAIM', { iss: 'https://strict', groups: 'billing' }],
    [
      'has a claim with another value',
      'TOKEN_CLAIM',
      { iss: 'https://strict', groups: 'billing', 'kubernetes.io': { namespace: 'web' } },
    ],
    [
      'is signed with an algorithm that its issuer does not use',
      'TOKEN_ALGORITHM',
      { iss: 'https://mail' },
    ],
  ])('that %s', async (_, problem, claims) => {
    expect(await problemOf(await key.sign(claims))).toBe(problem);
  });

  test('that nobody signed', async () => {
    expect(await problemOf(unsigned())).toBe('TOKEN_ALGORITHM');
  });

  test('that the public key signed, as a secret', async () => {
    expect(await problemOf(await key.signAsSecret())).toBe('TOKEN_ALGORITHM');
  });

  test('that another key signed under the id of the right one', async () => {
    const other = await TokenKey.create('first');
    expect(await problemOf(await other.sign())).toBe('TOKEN_SIGNATURE');
  });

  test('whose content was changed', async () => {
    const [header, , signature] = (await key.sign()).split('.');
    const [, payload] = (await key.sign({ sub: 'admin' })).split('.');
    expect(await problemOf(`${header}.${payload}.${signature}`)).toBe('TOKEN_SIGNATURE');
  });

  test.each([
    ['longer than 8 KB', 'TOKEN_TOO_LONG', 'x'.repeat(8_192)],
    ['no JWT', 'TOKEN_MALFORMED', 'secret'],
    ['of three parts that are none', 'TOKEN_MALFORMED', 'x.y.z'],
  ])('that is %s', async (_, problem, token) => {
    expect(await problemOf(token)).toBe(problem);
  });

  test('that is two, of a client that sends it', async () => {
    const client = clientOf(scrip, { tls: tlsOf(authority.certificate) });
    const metadata = new Metadata();
    metadata.set('authorization', 'Bearer one two');
    const error = await errorOf(client.plans.listPlans({}, { metadata }));
    expect(error).toMatchObject({ metadata: { problem: 'TOKEN_MALFORMED' } });
  });

  test('whose header says no algorithm', async () => {
    const [, payload, signature] = (await key.sign()).split('.');
    expect(await problemOf(`e30.${payload}.${signature}`)).toBe('TOKEN_MALFORMED');
  });

  test('that is a password', async () => {
    const metadata = new Metadata();
    metadata.set('authorization', `Basic ${Buffer.from('me:secret').toString('base64')}`);
    const { plans } = clientOf(scrip, { tls: tlsOf(authority.certificate) });
    const error = await errorOf(plans.listPlans({}, { metadata }));
    expect(error.metadata['problem']).toBe('TOKEN_MALFORMED');
  });

  test('where none is accepted', async () => {
    const mutual = await startHere([], {
      env: { TLS_CLIENT_CA_FILE: tls.env['TLS_CLIENT_CA_FILE'] ?? '' },
    });
    const pair = await authority.sign({ commonName: 'gateway' });
    const client = bearer(await key.sign(), mutual, { tls: tlsOf(authority.certificate, pair) });
    expect((await errorOf(client.plans.listPlans({}))).metadata['problem']).toBe(
      'TOKEN_NOT_ACCEPTED',
    );
  });

  test('and what it says is neither sent back nor logged', async () => {
    const token = await key.sign({ sub: 'planted secret', exp: inSeconds(-60) });
    const error = await errorOf(bearer(token).plans.listPlans({}));
    expect(error.message).toBe('the caller is not known: the token has expired');
    const line = lines.findLast(({ reason }) => reason === 'CALLER_UNKNOWN');
    expect(line).toMatchObject({
      msg: 'call',
      method: 'billing.v1.PlanService/ListPlans',
      code: 'UNAUTHENTICATED',
      problem: 'TOKEN_EXPIRED',
    });
    for (const part of token.split('.').slice(1))
      expect(JSON.stringify({ error, lines }, bigints)).not.toContain(part);
  });
});

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

test('a token that is known is refused once it has expired', async () => {
  const service = await startHere([issuerOf({ url: keys.url })]);
  const { plans } = bearer(await key.sign({ exp: inSeconds(120) }), service);
  await plans.listPlans({});
  service.advance(2 * MINUTE + 10_000);
  expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_EXPIRED');
});

test('a call that ended while its token was verified is not served', async () => {
  const server = await KeyServer.start(key);
  onTestFinished(() => server.stop());
  const { log, lines } = captureLog('debug');
  const service = await startHere([issuerOf({ url: server.url })], { log });
  const answer = server.hold();
  const client = bearer(await key.sign({ sub: 'gone' }), service);
  const path = '/billing.v1.PlanService/ListPlans';
  const same = (bytes: Buffer) => bytes;
  const none = Buffer.alloc(0);
  const call = client.channel.makeUnaryRequest(path, same, same, none, () => {});
  await expect.poll(() => server.requests, { timeout: 60_000 }).toBe(1);
  call.cancel();
  // It is answered after the service has read that the call before it ended.
  await healthOf({ ...service, ...client });
  answer();
  const isServed = () =>
    client.plans.listPlans({}).then(
      () => true,
      () => false,
    );
  await expect.poll(isServed, { timeout: 60_000 }).toBe(true);
  expect(lines.filter(({ caller }) => caller === 'cluster:gone')).toHaveLength(1);
});

describe('keys at a URL', () => {
  test('are rotated: tokens of the new one are accepted, of the removed one refused', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const service = await startHere([issuerOf({ url: server.url })]);
    const old = bearer(await key.sign(), service);
    expect(await callerOf(old)).toBe('cluster:renderer');
    const next = await TokenKey.create('next', 'RS256');
    expect(await problemOf(await next.sign({ sub: 'early' }), service)).toBe('TOKEN_KEY');

    server.keys = await keySetOf(key, next);
    await service.service.reload();
    expect(await callerOf(old)).toBe('cluster:renderer');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');

    server.keys = await keySetOf(next);
    await service.service.reload();
    expect((await errorOf(old.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_KEY');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');
  });

  test('are fetched once for many tokens', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const service = await startHere([issuerOf({ url: server.url })]);
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, index) => key.sign({ sub: `caller-${index}` })),
    );
    await Promise.all(tokens.map((token) => bearer(token, service).plans.listPlans({})));
    expect(server.requests).toBe(1);
  });

  test.each(['hangs up', 'garbage', 'status 500'] as const)(
    'count on while the server %s, which is logged once',
    async (broken) => {
      const server = await KeyServer.start(key);
      onTestFinished(() => server.stop());
      const { log, lines } = captureLog('debug');
      const service = await startHere([issuerOf({ url: server.url })], { log });
      await bearer(await key.sign(), service).plans.listPlans({});
      server.broken = broken;
      await service.service.reload();
      await service.service.reload();
      const outage = 'the keys of a token issuer cannot be fetched';
      expect(lines.filter(({ msg }) => msg === outage)).toHaveLength(1);
      // A token that is new.
      expect(await callerOf(bearer(await key.sign({ sub: 'new' }), service))).toBe('cluster:new');
      server.broken = null;
      await service.service.reload();
      expect(await callerOf(bearer(await key.sign({ sub: 'later' }), service))).toBe(
        'cluster:later',
      );
    },
  );

  test('count for a day while no others can be fetched', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const issuer = { issuer: 'cluster', log, now: () => Date.now() };
    const { find } = new UrlKeys(new URL(server.url), issuer);
    const header = { alg: key.algorithm, kid: key.id };
    const token = { payload: '', signature: '' };
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    await find(header, token);
    server.broken = 'status 500';
    for (const pass of [11 * MINUTE, 12 * HOUR]) {
      vi.setSystemTime(Date.now() + pass);
      expect(await find(header, token)).toBeDefined();
    }
    expect(server.requests).toBe(3);
    vi.setSystemTime(Date.now() + 12 * HOUR);
    await expect(find(header, token)).rejects.toThrow('the status of the answer is 500');
  });

  test('that were never fetched: the caller is not known', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    server.broken = 'hangs up';
    const service = await startHere([issuerOf({ url: server.url })]);
    expect(await problemOf(await key.sign(), service)).toBe('KEYS_UNAVAILABLE');
    server.broken = null;
    await service.service.reload();
    expect(await callerOf(bearer(await key.sign(), service))).toBe('cluster:renderer');
  });
});

describe('keys in a file', () => {
  test('are rotated, and a broken file leaves them as they are', async () => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    const { log, lines } = captureLog('debug');
    const service = await startHere([issuerOf({ file: file.file })], { log });
    const old = bearer(await key.sign(), service);
    expect(await callerOf(old)).toBe('cluster:renderer');
    const next = await TokenKey.create('next');

    await file.write('{"keys": [');
    await service.service.reload();
    await service.service.reload();
    const broken = 'the keys of a token issuer cannot be read; the previous ones stay in use';
    expect(lines.filter(({ msg }) => msg === broken)).toHaveLength(1);
    expect(await callerOf(old)).toBe('cluster:renderer');

    await file.write(JSON.stringify(await keySetOf(next)));
    await service.service.reload();
    expect((await errorOf(old.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_KEY');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');
  });

  test('are read again by themselves', async () => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    const env = { TLS_RELOAD_INTERVAL_MS: '10' };
    const service = await startHere([issuerOf({ file: file.file })], { env });
    const old = bearer(await key.sign(), service);
    await old.plans.listPlans({});
    await file.write(JSON.stringify(await keySetOf(await TokenKey.create('next'))));
    const isServed = () =>
      old.plans.listPlans({}).then(
        () => true,
        () => false,
      );
    await expect.poll(isServed, { timeout: 60_000 }).toBe(false);
  });

  test.each([
    ['is missing', null],
    ['is garbage', 'garbage'],
    ['has no keys', '{}'],
  ])('keep the service from starting if the file %s', async (_, text) => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    if (text !== null) await file.write(text);
    const path = text === null ? `${file.file}.none` : file.file;
    await expect(startHere([issuerOf({ file: path })])).rejects.toThrow(/jwks\.json/);
  });
});

/** The headers that answer a call with these request headers, as they are. */
async function rawCall(
  { service }: TestService,
  pair: Pair,
  headers: OutgoingHttpHeaders,
): Promise<IncomingHttpHeaders> {
  const session = connectHttp2(`https://localhost:${service.port}`, {
    ca: authority.certificate,
    cert: pair.certificate,
    key: pair.key,
    strictFieldWhitespaceValidation: false,
  } as SecureClientSessionOptions);
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/billing.v1.PlanService/ListPlans',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.end(Buffer.alloc(5));
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  return answer;
}

test('a stream ends with the next message after its token has expired', async () => {
  const service = await startHere([issuerOf({ url: keys.url })]);
  const accountId = `acct-${randomUUID()}`;
  const mine = clientOf(service, {
    tls: tlsOf(authority.certificate),
    token: await key.sign({ exp: inSeconds(3_600) }),
  });
  await mine.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  const messages = mine.billing.streamHistory({ accountId, follow: true });
  await messages.next();
  service.advance(2 * HOUR);
  const later = clientOf(service, {
    tls: tlsOf(authority.certificate),
    token: await key.sign({ exp: inSeconds(4 * 3_600) }),
  });
  await later.accounts.updateAccount({ accountId, requestId: 'rename', displayName: 'next' });
  expect((await errorOf(messages.next())).metadata['problem']).toBe('TOKEN_EXPIRED');
});

describe('on a connection with a certificate', () => {
  let mutual: TestService;
  beforeAll(async () => {
    mutual = await start([issuerOf({ url: keys.url })], {
      env: { TLS_CLIENT_CA_FILE: tls.env['TLS_CLIENT_CA_FILE'] ?? '' },
    });
  });
  afterAll(() => mutual.stop());

  const carrier = async (token?: string) =>
    clientOf(mutual, {
      tls: tlsOf(authority.certificate, await authority.sign({ commonName: 'gateway' })),
      ...(token !== undefined && { token }),
    });

  test('the token names the caller', async () => {
    expect(await callerOf(await carrier(await key.sign()))).toBe('cluster:renderer');
    expect(await callerOf(await carrier())).toBe('cn:gateway');
  });

  test.each([
    ['a space behind it', (token: string) => `Bearer ${token} `],
    ['a space before it', (token: string) => ` Bearer ${token}`],
    ['a tab behind it', (token: string) => `Bearer ${token}\t`],
  ])('a token with %s is not dropped in favour of the certificate', async (_, written) => {
    const answer = await rawCall(mutual, await authority.sign({ commonName: 'gateway' }), {
      authorization: written('forged'),
    });
    expect(answer['grpc-status']).toBe(String(status.UNAUTHENTICATED));
  });

  test('a token that is refused is not ignored in favour of the certificate', async () => {
    const expired = await carrier(await key.sign({ exp: inSeconds(-60) }));
    expect((await errorOf(expired.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_EXPIRED');
  });
});

describe('where a certificate is optional', () => {
  let lenient: TestService;
  beforeAll(async () => {
    const TLS_CLIENT_CA_FILE = tls.env['TLS_CLIENT_CA_FILE'] ?? '';
    const env = { TLS_CLIENT_CA_FILE, TLS_CLIENT_CERTIFICATE: 'optional' };
    lenient = await start([issuerOf({ url: keys.url })], { env });
  });
  afterAll(() => lenient.stop());

  test('a token suffices', async () => {
    expect(await callerOf(bearer(await key.sign(), lenient))).toBe('cluster:renderer');
  });

  test.each<[string, CertificateOptions]>([
    ['CERTIFICATE_NOT_TRUSTED', { commonName: 'gateway', validTo: -HOUR }],
    ['CERTIFICATE_WITHOUT_NAME', { commonName: 'the gateway' }],
  ])('but not with a certificate that is %s', async (problem, options) => {
    const pair = await authority.sign(options);
    const client = bearer(await key.sign(), lenient, { tls: tlsOf(authority.certificate, pair) });
    const error = await errorOf(client.plans.listPlans({}));
    expect(error.metadata['problem']).toBe(problem);
  });
});

describe('on loopback without TLS', () => {
  test('a token names the caller, a bad one is refused, and without one x-caller counts', async () => {
    const open = await startTestService({
      databaseUrl,
      tokenIssuers: [issuerOf({ url: keys.url })],
    });
    onTestFinished(() => open.stop());
    const caller = 'developer';
    const token = await key.sign();
    expect(await callerOf(clientOf(open, { caller, token }))).toBe('cluster:renderer');
    expect(await callerOf(clientOf(open, { caller }))).toBe('developer');
    expect(await callerOf(clientOf(open, {}))).toBe('unknown');
    const { plans } = clientOf(open, { caller, token: 'bad' });
    expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_MALFORMED');
  });

  test('a token is not looked at where no issuer is configured', async () => {
    const open = await startTestService({ databaseUrl });
    onTestFinished(() => open.stop());
    expect(await callerOf(clientOf(open, { caller: 'developer', token: 'any' }))).toBe('developer');
  });
});
