/** Who issues the tokens that callers authenticate with, and what a token of theirs must say. */

export type TokenIssuer = {
  /** The prefix of its callers: the issuer "cluster" names "cluster:system:serviceaccount:media:renderer". */
  readonly name: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The `aud` that its tokens must have, alone or among others. */
  readonly audience: string;
  /** Where its public keys are. */
  readonly jwks: { readonly url: string } | { readonly file: string };
  /** The claim that names the caller. */
  readonly callerClaim: string;
  /** Claims that a token must have, with these values. */
  readonly requiredClaims: Readonly<Record<string, string>>;
  /** How far its clock may differ from ours. */
  readonly clockToleranceMs: number;
  /** The signature algorithms that are accepted, such as "ES256". */
  readonly algorithms: readonly string[];
};
