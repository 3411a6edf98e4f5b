/** A service that callers with a certificate or with a token use, and the files that those have. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createTlsDirectory, signServer } from '../authentication/authority.ts';
import { tlsOf } from '../authentication/client.ts';
import { AUDIENCE, ISSUER, KeyFile, TokenKey } from '../authentication/token-authority.ts';
import { startTestService, type TestService } from '../service.ts';

const WORKLOAD = 'system:serviceaccount:media:renderer';

/** Those who may charge: by the certificate, and by the token. */
export const CALLERS = {
  certificate: 'spiffe://example.org/media/renderer',
  token: `cluster:${WORKLOAD}`,
} as const;
const VIEWER = 'spiffe://example.org/media/viewer';
/** May make one call a second. */
export const SLOW_CALLER = 'spiffe://example.org/media/slow';

const policyWith = (keyFile: string): string => `
version: 1
issuers:
  - { name: cluster, issuer: '${ISSUER}', audience: ${AUDIENCE}, jwks: { file: ${keyFile} } }
callers:
  - { id: ${CALLERS.certificate}, roles: [product-service] }
  - { id: ${CALLERS.token}, roles: [product-service] }
  - { id: ${VIEWER}, roles: [observer] }
  - { id: ${SLOW_CALLER}, roles: [product-service], requests_per_second: { rate: 1 } }
  - { id: cn:admin, roles: [billing-admin, observer, operator] }
`;

export type ProtectedService = TestService & {
  readonly address: string;
  /** Of another replica, which requires a certificate. */
  readonly strictAddress: string;
  /** A token that the service accepts. */
  readonly signToken: () => Promise<string>;
  /** Writes what the callers have to a folder: ca.pem, the certificates and keys of renderer, viewer and slow, and token. */
  readonly writeCredentials: (directory: string) => Promise<void>;
};

export async function startProtected(): Promise<ProtectedService> {
  const authority = await createAuthority();
  const tls = await createTlsDirectory(await signServer(authority), authority.certificate);
  const key = await TokenKey.create('cluster-key');
  const keys = await KeyFile.create(key);
  const directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  const policy = join(directory, 'policy.yaml');
  await writeFile(policy, policyWith(keys.file));

  const admin = await authority.sign({ commonName: 'admin' });
  const client = { tls: tlsOf(authority.certificate, admin) };
  const env = { ...tls.env, POLICY_FILE: policy };
  const scrip = await startTestService({
    client,
    env: { ...env, TLS_CLIENT_CERTIFICATE: 'optional' },
  });
  const { databaseUrl } = scrip;
  const strict = await startTestService({ client, databaseUrl, publishesNothing: true, env });
  const signToken = () => key.sign({ sub: WORKLOAD });
  return {
    ...scrip,
    address: `localhost:${scrip.service.port}`,
    strictAddress: `localhost:${strict.service.port}`,
    signToken,
    async writeCredentials(to) {
      await writeFile(join(to, 'ca.pem'), authority.certificate);
      for (const [name, value] of [
        ['renderer', CALLERS.certificate],
        ['viewer', VIEWER],
        ['slow', SLOW_CALLER],
      ] as const) {
        const pair = await authority.sign({ names: [{ type: 'url', value }] });
        await writeFile(join(to, `${name}.pem`), pair.certificate);
        await writeFile(join(to, `${name}.key`), pair.key, { mode: 0o600 });
      }
      await writeFile(join(to, 'token'), `${await signToken()}\n`);
    },
    async stop() {
      await Promise.all([scrip.stop(), strict.stop()]);
      await Promise.all([tls.remove(), keys.remove(), rm(directory, { recursive: true })]);
    },
  };
}
