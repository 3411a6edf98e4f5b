/** A service with mutual TLS and a policy, for the comparison with one that has neither. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createAuthority, createTlsDirectory, signServer } from '../../authentication/authority.ts';
import type { LoadTls } from '../load-spec.ts';

export type MutualTls = {
  /** The configuration of the service. */
  readonly env: Readonly<Record<string, string>>;
  /** What its client shows and trusts. */
  readonly client: LoadTls;
  remove(): Promise<void>;
};

const CALLER = 'spiffe://example.org/bench';

/** A policy as a team has it: rules of other callers come first, and the caller has limits of each kind. */
const POLICY = {
  version: 1,
  callers: [
    ...Array.from({ length: 20 }, (_, index) => ({
      id: `spiffe://example.org/service-${index}`,
      roles: ['product-service'],
    })),
    {
      id: CALLER,
      roles: ['product-service', 'payments'],
      accounts: { prefixes: Array.from('abcdefghijklmnopqrstuvwxyz') },
      operations: ['image.*', 'file.*'],
      credits: { per_call: 1_000_000 },
      requests_per_second: { rate: 1_000_000, burst: 1_000_000 },
    },
  ],
};

export async function createMutualTls(): Promise<MutualTls> {
  const authority = await createAuthority();
  const tls = await createTlsDirectory(await signServer(authority), authority.certificate);
  const { certificate, key } = await authority.sign({ names: [{ type: 'url', value: CALLER }] });
  const policy = join(dirname(tls.env['TLS_CERT_FILE'] ?? ''), 'policy.yaml');
  await writeFile(policy, JSON.stringify(POLICY));
  return {
    env: { ...tls.env, POLICY_FILE: policy },
    client: { ca: `${authority.certificate}`, certificate: `${certificate}`, key: `${key}` },
    remove: () => tls.remove(),
  };
}
