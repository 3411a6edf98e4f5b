/** Says in words what a policy lets a caller do, and which line of its file says so. */
import { isIdInScope } from './account-scope.ts';
import { matchesAny, policyName } from './caller-name.ts';
import type { CompiledPolicy } from './compiled-policy.ts';
import type { Identity } from './identity.ts';
import type { MethodName } from './methods.ts';
import type { AccountScope, Permissions, Rate } from './permissions.ts';
import type { Roles } from './roles.ts';
import { type Rule, selectorText } from './rule.ts';

export type Explanation = {
  /** Whether the caller may call the method, within the limits that the sentences name. */
  readonly allowed: boolean;
  readonly sentences: readonly string[];
};

export function explain(
  policy: CompiledPolicy,
  identity: Identity,
  method: MethodName,
  accountId: string | null,
): Explanation {
  const carrier = carrierSentences(policy, identity);
  if (!policy.mayBeCarried(identity)) return { allowed: false, sentences: carrier };
  const rule = policy.ruleOf(identity);
  const open = openSentences(policy, identity, rule);
  if (!rule)
    return {
      allowed: false,
      sentences: [
        ...carrier,
        `No rule applies to ${policyName(identity)}: it may do nothing.`,
        ...open,
      ],
    };
  const { permissions } = rule;
  const allowsMethod = permissions.methods.has(method);
  const allowsAccount = accountId === null || isIdInScope(permissions.accounts, accountId);
  return {
    allowed: allowsMethod && allowsAccount,
    sentences: [
      ...carrier,
      `${nameOf(rule)} is the first that applies to ${policyName(identity)}.`,
      ...open,
      methodSentence(rule, policy.file.roles, method),
      ...(allowsMethod && !allowsAccount
        ? [
            `Account ${accountId} is denied: its id does not begin with ${list(permissions.accounts?.prefixes ?? [], 'or')}.`,
          ]
        : []),
      ...(allowsMethod && allowsAccount ? limitSentences(permissions) : []),
    ],
  };
}

const nameOf = ({ index, line, selector }: Rule): string =>
  `Rule ${index + 1} (line ${line}: ${selectorText(selector)})`;

function carrierSentences(policy: CompiledPolicy, identity: Identity): readonly string[] {
  const { caller, certificate } = identity;
  if (certificate === '') return [];
  const rule = policy.carrierRuleOf(identity);
  if (!rule) return [`No rule applies to ${certificate}: it may not carry tokens.`];
  const { carriesTokensOf } = rule;
  if (!matchesAny(carriesTokensOf, caller)) {
    const carried =
      carriesTokensOf.length === 0 ? 'no tokens' : `tokens of ${list(carriesTokensOf)}`;
    return [`${nameOf(rule)} lets ${certificate} carry ${carried}, and not those of ${caller}.`];
  }
  return [`${nameOf(rule)} lets ${certificate} carry tokens of ${caller}.`];
}

/** Rules above the one found that would come first if the token said more. */
function openSentences(
  { file }: CompiledPolicy,
  { caller, method, claims }: Identity,
  found: Rule | null,
): readonly string[] {
  if (method !== 'TOKEN' || Object.keys(claims).length > 0) return [];
  const above = found ? file.rules.slice(0, found.index) : file.rules;
  return above.flatMap((rule) => {
    const { selector } = rule;
    const isOpen = selector.kind === 'claims' && caller.startsWith(`${selector.issuer}:`);
    return isOpen ? [`${nameOf(rule)} comes first if the token has that claim.`] : [];
  });
}

function methodSentence({ roles, selector }: Rule, all: Roles, method: MethodName): string {
  const allowing = (names: Iterable<string>) =>
    [...names].filter((name) => all.get(name)?.has(method));
  const own = allowing(roles);
  if (own.length > 0) return `${method} is allowed by the role ${list(own)}.`;
  const others = list(allowing(all.keys()), 'or');
  const has = roles.length === 0 ? 'no role' : `the role ${list(roles)}`;
  return `${method} is denied: ${selectorText(selector)} has ${has}, and only ${others} allows it.`;
}

function limitSentences(permissions: Permissions): readonly string[] {
  const { operations, ownReservationsOnly, creditLimits, streamsMax, onBehalfOf } = permissions;
  const { perCall = null, perDay = null, perAccountAndDay = null } = creditLimits ?? {};
  return [
    ...scopeSentences(permissions.accounts),
    operations !== null && `Only these operations: ${list(operations)}.`,
    ownReservationsOnly && 'Only reservations that it made itself.',
    perCall !== null && `At most ${perCall} credits per call.`,
    perDay !== null && `At most ${perDay} credits per UTC day on all accounts.`,
    perAccountAndDay !== null && `At most ${perAccountAndDay} credits per UTC day on each account.`,
    ...rateSentences(permissions.requestsPerSecond, 'requests'),
    ...rateSentences(permissions.creditsPerSecond, 'credits'),
    streamsMax !== null && `At most ${streamsMax} open streams on each replica.`,
    onBehalfOf.length > 0 && `It may act on behalf of ${list(onBehalfOf)}.`,
  ].filter((sentence) => sentence !== false);
}

const scopeSentences = (scope: AccountScope | null): readonly string[] => {
  const { prefixes = null, labels = null, plans = null } = scope ?? {};
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return [
    ...(prefixes ? [`Only accounts whose ids begin with ${list(prefixes, 'or')}.`] : []),
    ...(pairs.length > 0 ? [`Only accounts with the labels ${list(pairs)}.`] : []),
    ...(plans ? [`Only accounts of the plan ${list(plans, 'or')}.`] : []),
  ];
};

const rateSentences = (rate: Rate | null, unit: string): readonly string[] =>
  rate
    ? [`At most ${rate.rate} ${unit} per second on each replica, in bursts of up to ${rate.burst}.`]
    : [];

const list = (items: readonly string[], word = 'and'): string =>
  items.length < 2 ? items.join() : `${items.slice(0, -1).join(', ')} ${word} ${items.at(-1)}`;
