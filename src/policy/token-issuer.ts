/** An issuer whose bearer tokens are accepted, as the policy states it. */

import type { RequiredClaim } from './claims.ts';

/** Asymmetric ones only: who can check a token must not be able to make one. */
export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/**
 * Names of issuers. Names of callers begin with them, and no issuer may name a caller that certificates name:
 * "cn:renderer" or "spiffe://example.org/renderer".
 */
export const ISSUER_NAME = /^(?!(cn|spiffe)$)[a-z][a-z0-9-]{0,31}$/;

export type TokenIssuer = {
  /** Its callers are named by it, a colon, and the claim that names the caller. */
  readonly name: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The `aud` that its tokens must have, alone or among others. */
  readonly audience: string;
  /** Where its public keys are: a JSON Web Key Set. */
  readonly jwks: { readonly url: string } | { readonly file: string };
  /** The claim that names the caller, such as "sub". */
  readonly callerClaim: string;
  /** Claims that its tokens must have. */
  readonly requiredClaims: { readonly [name: string]: RequiredClaim };
  /** How far the clocks of the issuer and of the service may differ. */
  readonly clockToleranceMs: number;
  readonly algorithms: readonly TokenAlgorithm[];
};
