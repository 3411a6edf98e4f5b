/** The names of callers: how each method of authentication begins them, and patterns that stand for several. */
import type { AuthenticationMethod, Identity } from './identity.ts';

/** A policy names a caller of `x-caller` with this word before it. */
export const HEADER = 'header';

/** How the names of certificates, and of `x-caller`, begin. A token's begins with the name of its issuer. */
const BEGINNINGS: Readonly<Record<string, AuthenticationMethod>> = {
  spiffe: 'CERTIFICATE',
  cn: 'CERTIFICATE',
  [HEADER]: 'HEADER',
};

/** The name by which a policy knows a caller. In development callers name themselves, and can say anything. */
export const policyName = ({ caller, method }: Pick<Identity, 'caller' | 'method'>): string =>
  method === 'HEADER' ? `${HEADER}:${caller}` : caller;

/** How a caller of this name, or of this beginning of a name, is authenticated. Null: no caller is named so. */
export function methodOfName(
  name: string,
  issuers: ReadonlySet<string>,
): AuthenticationMethod | null {
  const colon = name.indexOf(':');
  if (colon < 0) return null;
  const beginning = name.slice(0, colon);
  if (issuers.has(beginning)) return 'TOKEN';
  return (Object.hasOwn(BEGINNINGS, beginning) && BEGINNINGS[beginning]) || null;
}

/** A pattern is a name, or the beginning of names and "*". */
export const matchesPattern = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

export const matchesAny = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, name));
