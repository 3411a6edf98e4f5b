/** Rules between the parts of a policy file that its schema cannot see. */
import { suggestion } from '../nearest-name.ts';
import type { Path, ValidationError } from '../pricing/plan-file/validation-error.ts';
import { methodOfName } from './caller-name.ts';
import type { PolicyDraft, RuleDraft } from './policy-schema.ts';
import type { Roles } from './roles.ts';
import { covers, type Selector, selectorText } from './rule.ts';
import type { TokenIssuer } from './token-issuer.ts';

/** Two issuers need different names, and a token must not be of both. */
export function issuerErrors(issuers: readonly TokenIssuer[]): readonly ValidationError[] {
  return issuers.flatMap(({ name, issuer, audience }, index) => {
    const sameName = issuers.findIndex((other) => other.name === name);
    const sameTokens = issuers.findIndex(
      (other) => other.issuer === issuer && other.audience === audience,
    );
    const reason = (first: number) => `is the same as that of issuers[${first}]`;
    return [
      ...(sameName < index ? [{ path: ['issuers', index, 'name'], reason: reason(sameName) }] : []),
      ...(sameTokens < index
        ? [
            {
              path: ['issuers', index, 'audience'],
              reason: `${reason(sameTokens)}, with its issuer`,
            },
          ]
        : []),
    ];
  });
}

/** The selector of each rule, null where it is wrong, and every error of the rules. */
export function checkRules(
  { callers, issuers }: PolicyDraft,
  roles: Roles,
): {
  readonly selectors: readonly (Selector | null)[];
  readonly errors: readonly ValidationError[];
} {
  const names = new Set(issuers.map(({ name }) => name));
  const read = callers.map((rule) => readSelector(rule, names));
  const selectors = read.map((each) => ('kind' in each ? each : null));
  const errors = callers.flatMap((rule, index) => {
    const each = read[index];
    const selectorErrors = each && 'reason' in each ? [each] : unreachable(selectors, index);
    const all = [
      ...selectorErrors,
      ...unknownRoles(rule, roles),
      ...carryingErrors(rule, selectors[index] ?? null, names),
      ...creditsErrors(rule),
    ];
    return all.map(({ path, reason }) => ({ path: ['callers', index, ...path], reason }));
  });
  return { selectors, errors };
}

function readSelector(rule: RuleDraft, issuers: ReadonlySet<string>): Selector | ValidationError {
  const { id, prefix, claim, issuer } = rule;
  if ([id, prefix, claim].filter((each) => each !== undefined).length !== 1)
    return { path: [], reason: 'must have exactly one of id, prefix and claim' };
  if (claim !== undefined) {
    if (issuer === undefined)
      return { path: ['issuer'], reason: 'missing key: who says this claim?' };
    if (issuers.has(issuer)) return { kind: 'claims', issuer, claims: claim };
    const { text } = suggestion(issuer, issuers);
    return { path: ['issuer'], reason: `there is no issuer ${issuer}${text}` };
  }
  if (issuer !== undefined)
    return { path: ['issuer'], reason: 'is only for claims: the name of a caller begins with it' };
  const key = id === undefined ? 'prefix' : 'id';
  const name = id ?? prefix ?? '';
  const method = methodOfName(name, issuers);
  if (method === null) return { path: [key], reason: unknownBeginning(issuers) };
  // As a prefix, "spiffe://example.org" would also name the callers of example.org.evil.net.
  if (name.startsWith('spiffe:') && !/^spiffe:\/\/[a-z0-9._-]+\//.test(name))
    return { path: [key], reason: 'must begin with spiffe://, a whole trust domain and /' };
  if (id !== undefined) return { kind: 'id', id, method };
  return { kind: 'prefix', prefix: name, method };
}

const unknownBeginning = (issuers: ReadonlySet<string>): string =>
  `must begin with spiffe:, cn: or header:, or with the name of an issuer and a colon${
    issuers.size === 0 ? '' : ` (${[...issuers].map((name) => `${name}:`).join(', ')})`
  }`;

/** An error if a rule above applies to all callers of this one. */
function unreachable(
  selectors: readonly (Selector | null)[],
  index: number,
): readonly ValidationError[] {
  const selector = selectors[index];
  if (!selector) return [];
  const first = selectors.slice(0, index).findIndex((other) => other && covers(other, selector));
  const above = selectors[first];
  if (!above) return [];
  const key = selector.kind === 'claims' ? 'claim' : selector.kind;
  const isSame = selectorText(above) === selectorText(selector);
  const reason = isSame
    ? `is the same as that of callers[${first}]`
    : `is never used: callers[${first}], ${selectorText(above)}, comes first; put it above`;
  return [{ path: [key], reason }];
}

function unknownRoles({ roles }: RuleDraft, known: Roles): readonly ValidationError[] {
  return roles.flatMap((role, index) => {
    if (known.has(role)) return [];
    const reason = `there is no role ${role}${suggestion(role, known.keys()).text}`;
    return [{ path: ['roles', index], reason }];
  });
}

function carryingErrors(
  { carries_tokens_of: patterns }: RuleDraft,
  selector: Selector | null,
  issuers: ReadonlySet<string>,
): readonly ValidationError[] {
  if (patterns.length === 0 || !selector) return [];
  if (selector.kind === 'claims' || selector.method !== 'CERTIFICATE')
    return [{ path: ['carries_tokens_of'], reason: 'is only for certificates' }];
  return patterns.flatMap((pattern, index) => {
    if (pattern === '*' || methodOfName(pattern, issuers) === 'TOKEN') return [];
    const path: Path = ['carries_tokens_of', index];
    return [{ path, reason: 'must begin with the name of an issuer and a colon' }];
  });
}

/** A limit above a wider one would never be reached. */
function creditsErrors({ credits }: RuleDraft): readonly ValidationError[] {
  if (credits === null) return [];
  const limits = [
    ['per_call', credits.perCall],
    ['per_account_and_day', credits.perAccountAndDay],
    ['per_day', credits.perDay],
  ] as const;
  return limits.flatMap(([key, limit], index) => {
    const wider = limits.slice(index + 1).find(([, other]) => limit && other && limit > other);
    return wider ? [{ path: ['credits', key], reason: `is more than ${wider[0]}` }] : [];
  });
}
