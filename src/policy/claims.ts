/** What the claims of a token must be. */

/** A value, or what a mapping must contain. */
export type RequiredClaim = string | number | boolean | { readonly [name: string]: RequiredClaim };

/** Whether a claim is the value, is a list that contains it, or is a mapping that has what is required of it. */
export function hasClaim(claim: unknown, required: RequiredClaim): boolean {
  if (typeof required !== 'object')
    return claim === required || (Array.isArray(claim) && claim.includes(required));
  const isMapping = typeof claim === 'object' && claim !== null && !Array.isArray(claim);
  return isMapping && hasClaims(claim, required);
}

/** Whether the claims have all that is required of them. */
export const hasClaims = (
  claims: object,
  required: { readonly [name: string]: RequiredClaim },
): boolean =>
  Object.entries(required).every(
    ([name, value]) =>
      Object.hasOwn(claims, name) && hasClaim((claims as Record<string, unknown>)[name], value),
  );
