/**
 * Random policies and calls, next to a model: the decision as docs/policy.md words it, written without the code
 * of the policy.
 */
import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { requestId } from '../service.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

/** The accounts that exist, and the callers that have a reservation on each of them. */
const ACCOUNTS: Readonly<Record<string, { readonly plan: string; readonly team: string }>> = {
  'red-1': { plan: 'verts', team: 'a' },
  'red-2': { plan: 'verts', team: 'b' },
  'blue-1': { plan: 'perfectparser', team: 'a' },
};
const CALLERS = ['ann', 'anton', 'bob'];
/** What the roles may do, of the methods that are called here. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  'product-service': ['Charge', 'ExtendReservation', 'GetBalance', 'Batch'],
  support: ['GrantCredits', 'GetBalance', 'Batch'],
  observer: ['GetBalance'],
};

type Rule = {
  readonly names: string;
  readonly isPrefix: boolean;
  readonly roles: readonly string[];
  readonly prefixes: readonly string[] | null;
  readonly team: string | null;
  readonly plans: readonly string[] | null;
  readonly operations: readonly string[] | null;
  readonly own: boolean;
  readonly perCall: number | null;
  readonly onBehalfOf: readonly string[];
};

type Call = {
  readonly caller: string;
  readonly method: 'Charge' | 'ExtendReservation' | 'GetBalance' | 'GrantCredits';
  readonly accountId: string;
  /** Null: credits without usages. */
  readonly operation: string | null;
  readonly credits: number;
  /** Who made the reservation that it extends. */
  readonly madeBy: string;
  readonly onBehalfOf: string;
  readonly inBatch: boolean;
};

const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const some = <T>(...values: T[]) => fc.subarray(values, { minLength: 1 });

const rule: fc.Arbitrary<Rule> = fc.record({
  names: fc.constantFrom('ann', 'anton', 'bob', 'an', 'b'),
  isPrefix: fc.boolean(),
  roles: fc.subarray(Object.keys(ROLES)),
  prefixes: nullable(some('red-', 'red-1', 'blue-')),
  team: nullable(fc.constantFrom('a', 'b')),
  plans: nullable(some('verts', 'perfectparser')),
  operations: nullable(some('file.*', 'file.inspect', 'image.*', '*')),
  own: fc.boolean(),
  perCall: nullable(fc.integer({ min: 1, max: 6 })),
  onBehalfOf: fc.subarray(['user:*', 'user:1', '*']),
});

const call: fc.Arbitrary<Call> = fc.record({
  caller: fc.constantFrom(...CALLERS, 'carl'),
  method: fc.constantFrom('Charge', 'ExtendReservation', 'GetBalance', 'GrantCredits'),
  accountId: fc.constantFrom(...Object.keys(ACCOUNTS), 'red-9', 'blue-9'),
  operation: fc.constantFrom(null, 'file.inspect', 'file.inspect', 'image.other'),
  credits: fc.integer({ min: 1, max: 7 }),
  madeBy: fc.constantFrom(...CALLERS),
  onBehalfOf: fc.constantFrom('', '', '', 'user:1', 'user:2', 'someone'),
  inBatch: fc.boolean(),
});

/** Without rules that can never apply, which a policy file must not have. */
const reachable = (rules: readonly Rule[]): readonly Rule[] =>
  rules.filter((one, index) =>
    rules
      .slice(0, index)
      .every((above) =>
        above.isPrefix
          ? !one.names.startsWith(above.names)
          : one.isPrefix || one.names !== above.names,
      ),
  );

function toYaml(one: Rule): string {
  const { prefixes, team, plans } = one;
  const scope = {
    ...(prefixes && { prefixes }),
    ...(team && { labels: { team } }),
    ...(plans && { plans }),
  };
  return `  - ${JSON.stringify({
    [one.isPrefix ? 'prefix' : 'id']: `header:${one.names}`,
    roles: one.roles,
    ...(Object.keys(scope).length > 0 && { accounts: scope }),
    ...(one.operations && { operations: one.operations }),
    own_reservations_only: one.own,
    ...(one.perCall !== null && { credits: { per_call: one.perCall } }),
    on_behalf_of: one.onBehalfOf,
  })}`;
}

const matches = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name,
  );

/** How the call must end: "OK", or a reason and, of a denial, what denied it. */
function expected(rules: readonly Rule[], made: Call): string {
  const { caller, method, accountId, operation, credits, onBehalfOf } = made;
  const denied = (limit: string) => `CALLER_NOT_ALLOWED ${limit}`;
  const found = rules.find(({ names, isPrefix }) =>
    isPrefix ? caller.startsWith(names) : caller === names,
  );
  if (!found) return denied('caller');
  const may = (name: string) => found.roles.some((role) => ROLES[role]?.includes(name));
  if (!may(isBatched(made) ? 'Batch' : method)) return denied('method');
  if (onBehalfOf !== '' && !matches(found.onBehalfOf, onBehalfOf)) return denied('on_behalf_of');
  if (!may(method)) return denied('method');
  if (found.prefixes?.every((prefix) => !accountId.startsWith(prefix))) return denied('account');
  if (method === 'Charge' && found.operations)
    if (operation === null || !matches(found.operations, operation)) return denied('operation');

  const account = ACCOUNTS[accountId];
  const isInScope =
    account &&
    (found.team === null || account.team === found.team) &&
    (found.plans === null || found.plans.includes(account.plan));
  if (!isInScope) return 'ACCOUNT_NOT_FOUND';
  if (method === 'ExtendReservation')
    return found.own && made.madeBy !== caller ? 'RESERVATION_NOT_FOUND' : 'OK';
  if (method === 'GetBalance') return 'OK';
  if (method === 'Charge' && operation !== null)
    if (account.plan !== 'verts' || operation === 'image.other') return 'UNKNOWN_OPERATION';
  return found.perCall !== null && credits > found.perCall ? denied('credits_per_call') : 'OK';
}

const isBatched = ({ inBatch, method }: Call): boolean => inBatch && method !== 'GetBalance';

const BROKEN = 'the policy file is invalid: the policy before it stays in force';

let scrip: PolicedService;
const reservations = new Map<string, string>();
beforeAll(async () => {
  scrip = await startPoliced('  - { prefix: "header:", roles: [product-service] }', {
    frozenAt: Date.UTC(2031, 4, 10, 12),
  });
  for (const [accountId, { plan, team }] of Object.entries(ACCOUNTS)) {
    const named = () => ({ accountId, requestId: requestId() });
    await scrip.accounts.openAccount({ ...named(), planId: plan, labels: mapOf({ team }) });
    const granted = { category: Grant_Category.PAID, reason: 'a test' };
    await scrip.accounts.grantCredits({ ...named(), ...granted, credits: 1_000_000n });
    for (const caller of CALLERS) {
      const { reservation } = await scrip.as(caller).billing.reserve({ ...named(), credits: 1n });
      reservations.set(`${accountId} ${caller}`, reservation?.reservationId ?? '');
    }
  }
});
afterAll(() => scrip.stop());

/** Makes the call, and says how it ended. */
async function outcomeOf(made: Call): Promise<string> {
  const { billing, accounts } = scrip.as(made.caller);
  const { accountId, onBehalfOf, method } = made;
  const metadata = new Metadata();
  if (onBehalfOf !== '') metadata.set('x-on-behalf-of', onBehalfOf);
  const named = { accountId, requestId: requestId() };
  const credits = BigInt(made.credits);
  const { operation } = made;
  const charge = {
    ...named,
    ...(operation === null ? { credits } : { usages: { items: [{ operation, count: credits }] } }),
  };
  const extension = {
    ...named,
    reservationId: reservations.get(`${accountId} ${made.madeBy}`) ?? requestId(),
    ttl: { seconds: 3_600n },
  };
  const granted = { ...named, credits, category: Grant_Category.PAID, reason: 'a test' };
  const options = { metadata };
  try {
    if (isBatched(made)) {
      const mutation =
        method === 'Charge'
          ? ({ $case: 'charge', value: charge } as const)
          : method === 'GrantCredits'
            ? ({ $case: 'grantCredits', value: granted } as const)
            : ({ $case: 'extendReservation', value: extension } as const);
      const { results } = await billing.batch({ mutations: [{ mutation }] }, options);
      const result = results[0]?.result;
      return result?.$case === 'error' ? textOf(result.value) : 'OK';
    }
    if (method === 'Charge') await billing.charge(charge, options);
    if (method === 'GrantCredits') await accounts.grantCredits(granted, options);
    if (method === 'ExtendReservation') await billing.extendReservation(extension, options);
    if (method === 'GetBalance') await billing.getBalance({ accountId }, options);
    return 'OK';
  } catch (error) {
    const { reason, metadata } = error as { reason: string; metadata: Record<string, string> };
    return textOf({ reason, metadata: new Map(Object.entries(metadata)) });
  }
}

const textOf = ({
  reason,
  metadata,
}: {
  readonly reason: string;
  readonly metadata: ReadonlyMap<string, string>;
}) => (reason === 'CALLER_NOT_ALLOWED' ? `${reason} ${metadata.get('limit')}` : reason);

const policies = fc.array(rule, { minLength: 1, maxLength: 4 }).map(reachable);

test('every call ends as the policy says', async () => {
  await fc.assert(
    fc.asyncProperty(
      policies,
      fc.array(call, { minLength: 4, maxLength: 12 }),
      async (rules, calls) => {
        await scrip.usePolicy(rules.map(toYaml).join('\n'));
        expect(scrip.logged(BROKEN)).toEqual([]);
        for (const made of calls) expect(await outcomeOf(made)).toBe(expected(rules, made));
      },
    ),
    { numRuns: 150 },
  );
});

test('the random calls are of every kind', () => {
  const samples = fc.sample(fc.tuple(policies, call), { numRuns: 10_000, seed: 1 });
  const outcomes = new Set(samples.map(([rules, made]) => expected(rules, made)));
  expect([...outcomes].toSorted()).toEqual([
    'ACCOUNT_NOT_FOUND',
    'CALLER_NOT_ALLOWED account',
    'CALLER_NOT_ALLOWED caller',
    'CALLER_NOT_ALLOWED credits_per_call',
    'CALLER_NOT_ALLOWED method',
    'CALLER_NOT_ALLOWED on_behalf_of',
    'CALLER_NOT_ALLOWED operation',
    'OK',
    'RESERVATION_NOT_FOUND',
    'UNKNOWN_OPERATION',
  ]);
});
