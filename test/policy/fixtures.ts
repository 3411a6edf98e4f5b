/** Policies and callers for tests. */
import { CompiledPolicy } from '../../src/policy/compiled-policy.ts';
import type { Identity } from '../../src/policy/identity.ts';
import { NOTHING_ALLOWED, type Permissions } from '../../src/policy/permissions.ts';
import { type PolicyFile, parsePolicyFile } from '../../src/policy/policy-file.ts';
import { formatFileError } from '../../src/pricing/plan-file/file-error.ts';

/** The policy of a text. Throws with every error if it is invalid. */
export function policyFileIn(yamlText: string): PolicyFile {
  const parsed = parsePolicyFile('policy.yaml', yamlText);
  if ('policy' in parsed) return parsed.policy;
  throw new Error(parsed.errors.map(formatFileError).join('\n'));
}

export const policyIn = (yamlText: string) => new CompiledPolicy(policyFileIn(yamlText));

/** The errors of a text as "line: path: reason"; none if it is valid. */
export function errorsIn(yamlText: string): readonly string[] {
  const parsed = parsePolicyFile('policy.yaml', yamlText);
  if ('policy' in parsed) return [];
  return parsed.errors.map(({ line, path, reason }) => `${line}: ${path}: ${reason}`);
}

export const certificate = (caller: string): Identity => ({
  caller,
  method: 'CERTIFICATE',
  certificate: '',
  claims: {},
  until: null,
});

/** `carriedBy` is the name of the certificate that carried the token. */
export const token = (
  caller: string,
  claims: Identity['claims'] = {},
  carriedBy = '',
): Identity => ({ caller, method: 'TOKEN', certificate: carriedBy, claims, until: null });

/** A caller who names itself in `x-caller`. */
export const header = (caller: string): Identity => ({ ...certificate(caller), method: 'HEADER' });

/** Issuers "cluster" and "staff". */
export const ISSUERS = `
version: 1
issuers:
  - { name: cluster, issuer: https://cluster.test, audience: scrip, jwks: { file: /keys.json } }
  - { name: staff, issuer: https://staff.test, audience: scrip, jwks: { url: https://staff.test/keys } }
`;

/** No methods and no limits, but for what is given. */
export const permissions = (given: Partial<Permissions> = {}): Permissions => ({
  ...NOTHING_ALLOWED,
  ...given,
});
