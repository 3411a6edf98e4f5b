/** The accounts of the benchmark: which there are, and how they are opened and funded. */
import { randomUUID } from 'node:crypto';
import { connect } from '../../src/client.ts';
import {
  GrantCreditsRequest,
  OpenAccountRequest,
} from '../../src/gen/billing/v1/account_service.ts';
import {
  BatchRequest,
  type BatchResponse,
  ChargeRequest,
  type Mutation,
} from '../../src/gen/billing/v1/billing_service.ts';
import { Budget, BudgetPeriod, SetBudgetRequest } from '../../src/gen/billing/v1/budget.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { type Accounts, accountId } from './load-spec.ts';

const of = (prefix: string, count: number, planId: string, grants = 1) => ({
  prefix,
  count,
  planId,
  grants,
});

/** Accounts of the benchmark, with their plan and number of grants. */
export const accounts = {
  spread: of('v', 10_000, 'verts'),
  hot: of('h', 1, 'verts'),
  historic: of('l', 1, 'verts'),
  aspose: of('a', 1_000, 'aspose-cloud'),
  parser: of('p', 1_000, 'perfectparser'),
} as const;

/** Accounts of the cases that measure how cost grows. */
export const grownAccounts = {
  many: of('m', 100_000, 'verts'),
  granted: of('g', 1_000, 'verts', 20),
} as const;

/** Accounts of the costs that are compared: 1 and 20 grants, 1 and 2,000. */
export const costAccounts = {
  granted1: of('f', 1_000, 'verts'),
  granted20: grownAccounts.granted,
  single1: accounts.hot,
  single2000: of('d', 1, 'verts', 2_000),
} as const;

export type Group = Accounts & { readonly planId: string; readonly grants: number };

/** No load ever uses it up. */
const CREDITS = 1_000_000_000_000n;
const BATCH = 1_000;

/** Opens and funds accounts in batches. `reason` is why; empty for a service that takes none. */
export async function openAccounts(
  address: string,
  groups: readonly Group[],
  reason = 'benchmark',
) {
  await sendInBatches(address, groups.flatMap(openMutations));
  await sendInBatches(
    address,
    groups.flatMap((group) => grantMutations(group, reason)),
  );
}

/** What --budgets of bench:compare sets, the first ones of these. No load ever uses them up. */
const BUDGETS: readonly Budget[] = [
  Budget.fromPartial({
    budgetId: 'each-user',
    dimension: { $case: 'label', value: 'user' },
    credits: CREDITS,
    period: BudgetPeriod.DAY,
  }),
  Budget.fromPartial({
    budgetId: 'each-operation',
    dimension: { $case: 'operation', value: true },
    credits: CREDITS,
    period: BudgetPeriod.MONTH,
  }),
];

/** Gives every account the first `count` of the budgets. */
export async function setBudgets(address: string, groups: readonly Group[], count: number) {
  const budgets = BUDGETS.slice(0, count);
  const mutations = groups.flatMap(ids).flatMap((id) =>
    budgets.map(
      (budget): Mutation => ({
        traceparent: '',
        mutation: {
          $case: 'setBudget',
          value: SetBudgetRequest.fromPartial({ ...mutationIds(id), budget, reason: 'benchmark' }),
        },
      }),
    ),
  );
  await sendInBatches(address, mutations);
}

/** Charges the account `count` times; each charge is one entry. */
export async function writeHistory(address: string, account: string, entries: number) {
  const charge = (): Mutation => ({
    traceparent: '',
    mutation: {
      $case: 'charge',
      value: ChargeRequest.fromPartial({
        ...mutationIds(account),
        usages: { items: [{ operation: 'file.inspect' }] },
        reference: 'job-20261104',
      }),
    },
  });
  await sendInBatches(address, Array.from({ length: entries }, charge));
}

const mutationIds = (account: string) => ({ accountId: account, requestId: randomUUID() });

const ids = (group: Group) =>
  Array.from({ length: group.count }, (_, index) => accountId(group, index));

const openMutations = (group: Group): Mutation[] =>
  ids(group).map((id) => ({
    traceparent: '',
    mutation: {
      $case: 'openAccount',
      value: OpenAccountRequest.fromPartial({ ...mutationIds(id), planId: group.planId }),
    },
  }));

/** The grants of an account expire one after the other, so that they have a burn order. */
const grantMutations = (group: Group, reason: string): Mutation[] =>
  ids(group).flatMap((id) =>
    Array.from({ length: group.grants }, (_, index) => ({
      traceparent: '',
      mutation: {
        $case: 'grantCredits' as const,
        value: GrantCreditsRequest.fromPartial({
          ...mutationIds(id),
          credits: CREDITS,
          category: Grant_Category.PAID,
          reason,
          expiresAt: new Date(Date.UTC(2100 + index, 0, 1)),
        }),
      },
    })),
  );

async function sendInBatches(address: string, mutations: readonly Mutation[]) {
  const scrip = connect(address, { caller: 'bench' });
  try {
    for (let at = 0; at < mutations.length; at += BATCH) {
      const request = BatchRequest.fromPartial({ mutations: mutations.slice(at, at + BATCH) });
      throwErrors(await scrip.billing.batch(request));
    }
  } finally {
    scrip.close();
  }
}

function throwErrors({ results }: BatchResponse) {
  for (const { result } of results)
    if (result?.$case === 'error')
      throw new Error(`cannot prepare the accounts: ${result.value.message}`);
}
