/**
 * What the work of shadow mode uses of an account: credits of its grants, overage and budgets, beside what its row
 * and its grants say. It is a sum of the moves of its decisions.
 */
import { OVERAGE } from '../allocation/allocation.ts';
import type { Budget } from '../budget.ts';
import type { BucketKind, Move } from '../entry.ts';
import { monthAt, type Zones } from '../periods/period.ts';

/** Of one grant. `spent`: since shadow mode began, less what was refunded of that. */
export type GrantUse = { readonly spent: bigint; readonly reserved: bigint };

export type ShadowUse = {
  readonly accountId: string;
  /** When the shadow mode began that it is of. */
  readonly since: number;
  /** seq of the newest decision. */
  readonly seq: bigint;
  /** seq of the newest decision before that: what they spent does not count any more. */
  readonly sinceSeq: bigint;
  readonly grants: ReadonlyMap<bigint, GrantUse>;
  /** Used in the calendar month that begins then. */
  readonly overage: bigint;
  readonly overageMonth: number;
  readonly overageReserved: bigint;
  /** What counters of budgets have in addition, by `counterName`. */
  readonly counters: ReadonlyMap<string, bigint>;
  /** The newest decision before each budget, by its `since`: jobs up to there began before it. */
  readonly budgets: ReadonlyMap<bigint, bigint>;
};

/** seq of what would be the entry before the first decision: no entry of a ledger has such a seq. */
export const FIRST_SHADOW_SEQ = 1_000_000_000_000_000n;

/** The grant that pays for what would have been refused. */
export const OVER_COMMIT_GRANT = 1_000_000_000_000_000n;

const NO_USE: GrantUse = { spent: 0n, reserved: 0n };

export const noUse = (accountId: string, since: number): ShadowUse => ({
  accountId,
  since,
  seq: FIRST_SHADOW_SEQ,
  sinceSeq: FIRST_SHADOW_SEQ,
  grants: new Map(),
  overage: 0n,
  overageMonth: 0,
  overageReserved: 0n,
  counters: new Map(),
  budgets: new Map(),
});

/** Shadow mode begins again, from the balance that the account has then. Jobs that run still hold what they held. */
export const beginAgain = (use: ShadowUse, since: number): ShadowUse => ({
  ...noUse(use.accountId, since),
  seq: use.seq,
  sinceSeq: use.seq,
  grants: new Map(
    [...use.grants].flatMap(([grantId, { reserved }]) =>
      reserved === 0n ? [] : [[grantId, { spent: 0n, reserved }]],
    ),
  ),
  overageReserved: use.overageReserved,
});

/** With the budgets that were set since the newest decision. Those that were removed are forgotten. */
export const withBudgets = (use: ShadowUse, budgets: readonly Budget[] | null): ShadowUse => ({
  ...use,
  budgets: new Map(budgets?.map(({ since }) => [since, use.budgets.get(since) ?? use.seq])),
});

export const useOf = ({ grants }: ShadowUse, grantId: bigint): GrantUse =>
  grants.get(grantId) ?? NO_USE;

/** Overage used in the account's month of `now`. */
export const overageUsed = (
  { overage, overageMonth }: ShadowUse,
  zones: Zones,
  now: number,
): bigint => (overageMonth === monthAt(zones, now).from ? overage : 0n);

/** The use after the moves of a decision at `at`. `isOfMonth`: whether the overage that it uses is of the month of then. */
export function addMoves(
  use: ShadowUse,
  moves: readonly Move[],
  zones: Zones,
  at: number,
  isOfMonth = true,
): ShadowUse {
  const grants = new Map(use.grants);
  let overage = overageUsed(use, zones, at);
  let { overageReserved } = use;
  for (const { from, to, grantId, credits } of moves) {
    const into = (bucket: BucketKind): bigint =>
      (to === bucket ? credits : 0n) - (from === bucket ? credits : 0n);
    if (grantId === OVERAGE) {
      if (isOfMonth) overage -= into('overage') + into('overage_reserved');
      overageReserved += into('overage_reserved');
      continue;
    }
    const { spent, reserved } = grants.get(grantId) ?? NO_USE;
    grants.set(grantId, {
      spent: spent - into('available') - into('reserved'),
      reserved: reserved + into('reserved'),
    });
  }
  return {
    ...use,
    grants,
    overage,
    overageMonth: monthAt(zones, at).from,
    overageReserved,
  };
}
