/** A policy file with token issuers that allows every caller everything, for tests of authentication. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROLES } from '../src/policy/methods.ts';
import type { TokenIssuer } from '../src/policy/token-issuer.ts';

export type PolicyOnDisk = { readonly file: string; remove(): Promise<void> };

/** Certificates may carry the tokens of all issuers. */
export async function writeAllowAllPolicy(issuers: readonly TokenIssuer[]): Promise<PolicyOnDisk> {
  const tokens = issuers.map(({ name }) => `${name}:`);
  const carries = tokens.length > 0 && { carries_tokens_of: tokens.map((prefix) => `${prefix}*`) };
  const certificates = ['spiffe://example.org/', 'cn:'];
  const policy = {
    version: 1,
    ...(issuers.length > 0 && { issuers: issuers.map(toYaml) }),
    callers: [
      ...certificates.map((prefix) => ({ prefix, roles: ROLES, ...carries })),
      ...[...tokens, 'header:'].map((prefix) => ({ prefix, roles: ROLES })),
    ],
  };
  const directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  const file = join(directory, 'policy.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(policy));
  return { file, remove: () => rm(directory, { recursive: true }) };
}

const toYaml = ({ name, issuer, audience, jwks, algorithms, ...more }: TokenIssuer) => ({
  name,
  issuer,
  audience,
  jwks,
  algorithms,
  caller_claim: more.callerClaim,
  required_claims: more.requiredClaims,
  clock_tolerance: `${more.clockToleranceMs / 1_000}s`,
});
