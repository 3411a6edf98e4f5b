import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import type { ConnectOptions } from '../../src/client.ts';
import type { TokenIssuer } from '../../src/policy/token-issuer.ts';
import { captureLog } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import {
  type Authority,
  createAuthority,
  createTlsDirectory,
  signServer,
  type TlsDirectory,
} from './authority.ts';
import { clientOf, tlsOf } from './client.ts';
import { issuerOf, KeyServer, TokenKey } from './token-authority.ts';
export let authority: Authority;
export let tls: TlsDirectory;
export let key: TokenKey;
export let keys: KeyServer;
export let scrip: TestService;
export let databaseUrl: string;

/** The debug log of `scrip`. */
export const { log, lines } = captureLog('debug');

/** A service with TLS that accepts tokens of these issuers. */
export async function start(
  tokenIssuers: readonly TokenIssuer[],
  options: TestOptions = {},
): Promise<TestService> {
  const env = { ...tls.env, TLS_CLIENT_CA_FILE: '', ...options.env };
  const client = { tls: tlsOf(authority.certificate) };
  return await startTestService({ databaseUrl, client, ...options, env, tokenIssuers });
}

/** One that is stopped after the test. */
export async function startHere(...args: Parameters<typeof start>): Promise<TestService> {
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

export const bearer = (
  token: NonNullable<ConnectOptions['token']>,
  service = scrip,
  options: ConnectOptions = {},
) =>
  clientOf(service, { caller: 'impostor', tls: tlsOf(authority.certificate), token, ...options });

export const problemOf = async (token: string, service = scrip): Promise<string | undefined> => {
  const error = await errorOf(bearer(token, service).plans.listPlans({}));
  expect(error).toMatchObject({ code: status.UNAUTHENTICATED, reason: 'CALLER_UNKNOWN' });
  expect(error.retryMs).toBeNull();
  return error.metadata['problem'];
};
