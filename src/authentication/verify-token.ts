/** Verifies one bearer token: who issued it, for whom, and whether it is valid now. */
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Failure } from '../failure.ts';
import { hasClaims } from '../policy/claims.ts';
import type { TokenIssuer } from '../policy/token-issuer.ts';
import { isCallerName } from './caller-name.ts';
import { callerUnknown, tokenExpired } from './failures.ts';
import type { IssuerKeys } from './issuer-keys.ts';

/** An issuer whose tokens can be verified. */
export type KnownIssuer = TokenIssuer & { readonly keys: IssuerKeys };

/** What a token says of its bearer. */
export type Bearer = {
  readonly caller: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Until when the token is valid, in epoch milliseconds. */
  readonly until: number;
};

export async function verifyToken(
  token: string,
  issuers: readonly KnownIssuer[],
  now: number,
): Promise<Bearer | Failure> {
  const issuer = issuerOf(token, issuers);
  if (!('keys' in issuer)) return issuer;
  try {
    const { payload } = await jwtVerify(token, issuer.keys.find, {
      issuer: issuer.issuer,
      audience: issuer.audience,
      algorithms: [...issuer.algorithms],
      clockTolerance: issuer.clockToleranceMs / 1_000,
      requiredClaims: ['exp'],
      currentDate: new Date(now),
    });
    return wrongClaim(payload, issuer) ?? bearerOf(payload, issuer);
  } catch (error) {
    return toFailure(error, issuer);
  }
}

/** The issuer that the token claims. Nothing it says is verified yet. */
function issuerOf(token: string, issuers: readonly KnownIssuer[]): KnownIssuer | Failure {
  let payload: JWTPayload;
  try {
    payload = decodeJwt(token);
  } catch {
    return malformed();
  }
  const named = issuers.filter(({ issuer }) => issuer === payload.iss);
  const forAudience = named.find(({ audience }) => [payload.aud].flat().includes(audience));
  const found = forAudience ?? named[0];
  return found ?? callerUnknown('TOKEN_ISSUER', 'no issuer with the iss of the token is accepted');
}

const malformed = () => callerUnknown('TOKEN_MALFORMED', 'the bearer token is no signed JWT');

function wrongClaim(payload: JWTPayload, { requiredClaims }: TokenIssuer): Failure | null {
  for (const [claim, required] of Object.entries(requiredClaims)) {
    if (!hasClaims(payload, { [claim]: required }))
      return claimFailure(claim, 'lacks the value that its issuer must give');
  }
  return null;
}

const claimFailure = (claim: string, problem: string): Failure =>
  callerUnknown('TOKEN_CLAIM', `the claim ${claim} of the token ${problem}`, { claim });

function bearerOf(payload: JWTPayload, issuer: TokenIssuer): Bearer | Failure {
  const { name, callerClaim, clockToleranceMs } = issuer;
  const claimed = Object.hasOwn(payload, callerClaim) ? payload[callerClaim] : undefined;
  const caller = `${name}:${claimed}`;
  if (typeof claimed !== 'string' || claimed === '' || !isCallerName(caller))
    return claimFailure(callerClaim, 'does not name a caller');
  return { caller, claims: payload, until: (payload.exp ?? 0) * 1_000 + clockToleranceMs };
}

/** What an error of jose says. Whatever it is, the token is not verified. */
function toFailure(error: unknown, { algorithms }: TokenIssuer): Failure {
  if (error instanceof errors.JWTExpired) return tokenExpired();
  if (error instanceof errors.JWTClaimValidationFailed) return ofClaim(error.claim);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return callerUnknown(
      'TOKEN_ALGORITHM',
      `the token is not signed with ${algorithms.join(', ')}`,
      { algorithms: algorithms.join(', ') },
    );
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return callerUnknown('TOKEN_KEY', 'the token names no key of its issuer');
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return callerUnknown('TOKEN_SIGNATURE', 'the signature of the token is wrong');
  if (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported
  )
    return malformed();
  return callerUnknown('KEYS_UNAVAILABLE', "the keys of the token's issuer cannot be used");
}

function ofClaim(claim: string): Failure {
  switch (claim) {
    case 'aud':
      return callerUnknown('TOKEN_AUDIENCE', 'the token is for another audience');
    case 'iss':
      return callerUnknown('TOKEN_ISSUER', 'the token is of another issuer');
    case 'nbf':
      return callerUnknown('TOKEN_NOT_YET_VALID', 'the token is not valid yet');
    default:
      return claimFailure(claim, 'is missing or invalid');
  }
}
