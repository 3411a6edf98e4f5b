/** A rule of a policy: the callers that it applies to, and what they may do. The first that applies decides. */
import { policyName } from './caller-name.ts';
import { hasClaims, type RequiredClaim } from './claims.ts';
import type { AuthenticationMethod, Identity } from './identity.ts';
import type { Permissions } from './permissions.ts';

/** Callers by their exact name, by the beginning of their names, or by what an issuer's tokens claim of them. */
export type Selector =
  | { readonly kind: 'id'; readonly id: string; readonly method: AuthenticationMethod }
  | { readonly kind: 'prefix'; readonly prefix: string; readonly method: AuthenticationMethod }
  | {
      readonly kind: 'claims';
      /** The issuer's name. */
      readonly issuer: string;
      readonly claims: { readonly [name: string]: RequiredClaim };
    };

export type Rule = {
  /** Its place in the list `callers`, from 0, and its line in the file. */
  readonly index: number;
  readonly line: number;
  readonly selector: Selector;
  /** The names of its roles, as the file lists them. */
  readonly roles: readonly string[];
  readonly permissions: Permissions;
  /** Patterns of the callers whose tokens this certificate may carry. */
  readonly carriesTokensOf: readonly string[];
};

/** Whether a rule with this selector applies to the caller. */
export function selects(selector: Selector, identity: Identity): boolean {
  const { method, claims } = identity;
  // A name is only as good as the method that proved it.
  switch (selector.kind) {
    case 'id':
      return method === selector.method && policyName(identity) === selector.id;
    case 'prefix':
      return method === selector.method && policyName(identity).startsWith(selector.prefix);
    case 'claims':
      return (
        method === 'TOKEN' &&
        identity.caller.startsWith(`${selector.issuer}:`) &&
        hasClaims(claims, selector.claims)
      );
  }
}

/** Whether every caller that the second selector selects is selected by the first. */
export function covers(first: Selector, second: Selector): boolean {
  switch (first.kind) {
    case 'id':
      return second.kind === 'id' && second.id === first.id;
    case 'prefix':
      return nameBegins(second).startsWith(first.prefix);
    case 'claims':
      return (
        second.kind === 'claims' &&
        second.issuer === first.issuer &&
        hasClaims(second.claims, first.claims)
      );
  }
}

/** How the names of all selected callers begin. */
function nameBegins(selector: Selector): string {
  switch (selector.kind) {
    case 'id':
      return selector.id;
    case 'prefix':
      return selector.prefix;
    case 'claims':
      return `${selector.issuer}:`;
  }
}

/** The callers in words: `spiffe://example.org/renderer`, `cluster:*`, `cluster: groups=billing-support`. */
export function selectorText(selector: Selector): string {
  switch (selector.kind) {
    case 'id':
      return selector.id;
    case 'prefix':
      return `${selector.prefix}*`;
    case 'claims': {
      const claims = Object.entries(selector.claims).map(
        ([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`,
      );
      return `${selector.issuer}: ${claims.join(', ')}`;
    }
  }
}
