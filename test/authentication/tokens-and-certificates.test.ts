import { once } from 'node:events';
import {
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HOUR } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import type { CertificateOptions, Pair } from './authority.ts';
import { callerOf, clientOf, tlsOf } from './client.ts';
import { inSeconds, issuerOf } from './token-authority.ts';
import { authority, bearer, databaseUrl, key, keys, start, tls } from './token-service.ts';

/** The headers that answer a call with these request headers, as they are. */
async function rawCall(
  { service }: TestService,
  pair: Pair,
  headers: Readonly<Record<string, string | readonly string[]>>,
): Promise<IncomingHttpHeaders> {
  const session = connectHttp2(`https://localhost:${service.port}`, {
    ca: authority.certificate,
    cert: pair.certificate,
    key: pair.key,
    strictFieldWhitespaceValidation: false,
    strictSingleValueFields: false,
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

  test('a second token is not dropped', async () => {
    const gateway = await authority.sign({ commonName: 'gateway' });
    const authorization = [`Bearer ${await key.sign()}`, 'Bearer forged'];
    const answer = await rawCall(mutual, gateway, { authorization });
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
