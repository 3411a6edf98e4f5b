/** The names of callers: how each method of authentication begins them, and patterns that stand for several. */
import type { AuthenticationMethod } from './identity.ts';

/** Names of certificates, and of `x-caller`. A token's begins with the name of its issuer. */
const PREFIXES: Readonly<Record<string, AuthenticationMethod>> = {
  'spiffe:': 'CERTIFICATE',
  'cn:': 'CERTIFICATE',
  'header:': 'HEADER',
};

/** Names that no issuer can have: its callers would look like those of another method. */
export const RESERVED_ISSUERS: readonly string[] = ['spiffe', 'cn', 'header'];

/** How a caller of this name, or of this beginning of a name, is authenticated. Null: no caller is named so. */
export function methodOfName(
  name: string,
  issuers: ReadonlySet<string>,
): AuthenticationMethod | null {
  const colon = name.indexOf(':');
  if (colon < 0) return null;
  if (issuers.has(name.slice(0, colon))) return 'TOKEN';
  return PREFIXES[name.slice(0, colon + 1)] ?? null;
}

/** A pattern is a name, or the beginning of names and "*". */
export const matchesPattern = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

export const matchesAny = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, name));
