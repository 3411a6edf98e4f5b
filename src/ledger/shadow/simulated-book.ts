/** The Book that an account would have if what it used in shadow mode had been charged. */
import { type Account, currentOverage } from '../account.ts';
import { type Allocation, OVERAGE, totalCredits } from '../allocation/allocation.ts';
import { Book } from '../book.ts';
import { type BudgetCounters, counterKeyOf } from '../budget.ts';
import type { Grant } from '../grant.ts';
import { overageBeforeNow } from '../month-overage.ts';
import type { Shadow } from './shadow.ts';
import { OVER_COMMIT_GRANT, overageUsed, type ShadowUse, useOf } from './shadow-use.ts';

export type Simulation = {
  /** Nothing is in the way: no state, floor or budget. */
  readonly unlimited: boolean;
  /** Budgets do not count it, and the over-commit grant pays for all that is new. */
  readonly uncounted: boolean;
  /** What a refund may give back that is not in what is used now: there is room for it. */
  readonly restored: readonly Allocation[];
};

/** All that was used counts, and nothing comes back. */
export const AS_CHARGED: Simulation = { unlimited: false, uncounted: false, restored: [] };

/** More than any account holds, and little enough to be added to it. */
const PLENTY = 100_000_000_000_000_000n;

/** Its grants and counters are its own. Its reservations are those of the shadow; real ones hold what they hold. */
export function simulatedBook(book: Book, shadow: Shadow, simulation: Simulation): Book {
  const { uncounted } = simulation;
  const grants = [
    ...book.grants.map((grant) => simulatedGrant(grant, shadow, simulation)),
    overCommitGrant(book, shadow, uncounted),
  ];
  const reservations = [...shadow.reservations.values()];
  const simulated = new Book(
    {
      account: simulatedAccount(book, shadow, grants, simulation),
      plans: book.plans,
      grants,
      loadedUpTo: book.loadedUpTo,
      reservations,
      purchases: [],
      customPacks: [],
      refundables: Array.from(shadow.refundables.values(), (one) => ({ ...one })),
      budgetCounters: simulatedCounters(book, shadow),
      nextReservationExpiry: null,
      plansLeft: book.plansLeft,
      usageSince: book.usageSince,
    },
    book.now,
    book.newId,
  );
  simulated.loadedSeq = book.loadedSeq;
  return simulated;
}

function simulatedGrant(grant: Grant, { use }: Shadow, { uncounted, restored }: Simulation): Grant {
  const { spent, reserved } = useOf(use, grant.grantId);
  const left = grant.remaining - grant.reserved - spent - reserved;
  const held = grant.reserved + reserved;
  const remaining = (uncounted || left < 0n ? 0n : left) + held;
  const room = creditsIn(restored, grant.grantId);
  const amount = grant.amount + reserved + spent + room;
  const { state } = grant;
  const isSpent = state === 'OPEN' || state === 'SPENT';
  return {
    ...grant,
    amount,
    remaining,
    reserved: held,
    // Nothing moves in shadow mode, so nothing that has expired returns.
    expired: 0n,
    state: isSpent ? (remaining > 0n ? 'OPEN' : 'SPENT') : state,
  };
}

const creditsIn = (allocations: readonly Allocation[], grantId: bigint): bigint =>
  totalCredits(allocations.filter((allocation) => allocation.grantId === grantId));

/** It burns last, and never expires. */
function overCommitGrant({ account, now }: Book, { use }: Shadow, uncounted: boolean): Grant {
  const { reserved } = useOf(use, OVER_COMMIT_GRANT);
  const remaining = (uncounted ? PLENTY : 0n) + reserved;
  return {
    accountId: account.accountId,
    grantId: OVER_COMMIT_GRANT,
    amount: 2n * PLENTY,
    remaining,
    reserved,
    voided: 0n,
    voidOnReturn: 0n,
    expired: 0n,
    category: 'ADJUSTMENT',
    priority: 100,
    effectiveAt: now,
    expiresAt: null,
    source: 'OPERATOR',
    sourceReference: '',
    operations: [],
    noticeAt: null,
    stranded: false,
    state: remaining > 0n ? 'OPEN' : 'SPENT',
    createdAt: now,
  };
}

function simulatedAccount(
  book: Book,
  { use, reservations }: Shadow,
  grants: readonly Grant[],
  { unlimited, uncounted, restored }: Simulation,
): Account {
  const { account, now } = book;
  const sum = (creditsOf: (grant: Grant) => bigint) =>
    grants.reduce((total, grant) => total + creditsOf(grant), 0n);
  const overage =
    currentOverage(account, now) +
    overageUsed(use, account.timeZones, now) +
    creditsIn(restored, OVERAGE);
  const overageReserved = account.overageReserved + use.overageReserved;
  const used = overage + overageReserved;
  const active = [...reservations.values()].filter(({ state }) => state === 'ACTIVE');
  return {
    ...account,
    seq: use.seq,
    remaining: sum(({ remaining }) => remaining),
    reserved: sum(({ reserved }) => reserved),
    granted: sum(({ amount, remaining }) => (remaining > 0n ? amount : 0n)),
    overage,
    overageBefore: overageBeforeNow(book),
    overageReserved,
    // Only entries pay what it owes: what comes back in shadow mode pays nothing of it.
    owed: 0n,
    overageLimit: account.overageLimit > used ? account.overageLimit : used,
    dueAt: active.length === 0 ? null : Math.min(...active.map(({ expiresAt }) => expiresAt)),
    lastAt: now,
    autoTopUp: null,
    topUpDueAt: null,
    callerDays: null,
    ...(unlimited && { state: 'OPEN' as const, suspension: null, pauseFloor: 0n }),
    budgets: unlimited || uncounted ? null : simulatedBudgets(account, use),
  };
}

/** They count jobs of shadow mode that began after them. */
const simulatedBudgets = ({ budgets }: Account, use: ShadowUse): Account['budgets'] =>
  budgets?.map((budget) => ({
    ...budget,
    sinceDecision: use.budgets.get(budget.since) ?? use.seq,
  })) ?? null;

function simulatedCounters({ account, budgetCounters, loadedSeq }: Book, { use }: Shadow) {
  const { accountId } = account;
  const counters: BudgetCounters = new Map();
  for (const [name, counter] of budgetCounters ?? []) {
    const used = counter.used + (use.counters.get(name) ?? 0n);
    counters.set(name, { ...counter, used: used > 0n ? used : 0n });
  }
  // Those of a budget of this unit of work are not loaded: only shadow mode has counted on it.
  for (const [name, used] of use.counters) {
    const key = counterKeyOf(name);
    if (key.since <= loadedSeq || counters.has(name)) continue;
    counters.set(name, { accountId, ...key, used: used > 0n ? used : 0n, reportedCap: null });
  }
  return counters;
}
