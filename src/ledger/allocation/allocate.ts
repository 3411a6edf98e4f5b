/**
 * Chooses which grants pay for an amount: in burn order, and overage last. Nothing here changes the
 * book.
 */
import assert from 'node:assert/strict';
import { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import type { PricedUsage } from '../../pricing/price.ts';
import { currentOverage } from '../account.ts';
import type { Book } from '../book.ts';
import { insufficientCredits } from '../failures.ts';
import { type Grant, grantAvailable, hasExpired, isLimited } from '../grant.ts';
import { type Allocation, isOfGrant, OVERAGE, OWED } from './allocation.ts';
import { type Demand, toDemands, toSource, Waterfall } from './waterfall.ts';

/** Credits of a grant that can be used now: effective, not expired, not reserved. */
export const spendableCredits = (grant: Grant, now: number): bigint =>
  grant.state === 'SCHEDULED' || hasExpired(grant, now) ? 0n : grantAvailable(grant);

const NO_LINES: readonly PricedUsage[] = [];

export type Headroom = {
  /** Credits that grants can give now. */
  readonly grants: bigint;
  /** Credits that overage can give now. */
  readonly overage: bigint;
};

/**
 * An upper bound of what the account can pay: the credits of every grant that may pay for at least one
 * of these usages or, without usages, of every grant that is not limited.
 */
export function headroom(book: Book, lines = NO_LINES): Headroom {
  const { account, grants, plan, now } = book;
  const limit = plan.terms.overage?.limit ?? 0n;
  const overage = limit - currentOverage(account, now) - account.overageReserved;
  const isOfUse = ({ operations }: Grant) =>
    lines.some(({ usage }) => operations.includes(usage.operation));
  let available = account.remaining - account.reserved;
  // Every limited grant is loaded, and the account's balance counts it.
  if (book.hasLimitedGrants)
    for (const grant of grants)
      if (isLimited(grant) && !isOfUse(grant)) available -= spendableCredits(grant, now);
  return { grants: available, overage: overage > 0n ? overage : 0n };
}

/**
 * What is available for these usages: of every grant that may pay for at least one of them, less reserved
 * overage. Without usages: the account's `available`.
 */
export const availableFor = (book: Book, lines: readonly PricedUsage[]): bigint =>
  headroom(book, lines).grants - book.account.overageReserved;

/**
 * Chooses where `credits` come from. `lines` are the priced usages they pay for; without lines only
 * grants that are not limited can pay. Fails with INSUFFICIENT_CREDITS, or OVERAGE_LIMIT_REACHED on a
 * postpaid plan.
 */
export function allocate(
  book: Book,
  credits: bigint,
  lines = NO_LINES,
): readonly Allocation[] | Failure {
  if (book.hasLimitedGrants) return allocateDemands(book, credits, toDemands(credits, lines));
  const room = headroom(book);
  const available = room.grants + room.overage;
  if (credits > available) return insufficientCredits(book, credits, available);
  const allocations: Allocation[] = [];
  let missing = min(credits, room.grants);
  if (missing > 0n)
    for (const grant of book.spendingOrder()) {
      const used = min(spendableCredits(grant, book.now), missing);
      if (used === 0n) continue;
      allocations.push({ grantId: grant.grantId, credits: used });
      missing -= used;
      if (missing === 0n) break;
    }
  assert(missing === 0n, `account ${book.account.accountId} has fewer credits than its balance`);
  if (credits > room.grants) allocations.push({ grantId: OVERAGE, credits: credits - room.grants });
  return allocations;
}

/** The same as far as it goes. What nothing pays is owed: it comes last. */
export function allocateOwing(book: Book, credits: bigint): readonly Allocation[] | Failure {
  if (book.hasLimitedGrants) {
    const waterfall = new Waterfall();
    waterfall.addDemands(toDemands(credits, NO_LINES), credits);
    return allocateUnmet(book, waterfall, { owes: true });
  }
  const room = headroom(book);
  const paid = min(credits, room.grants + room.overage);
  const allocations = allocate(book, paid);
  if (allocations instanceof Failure || paid === credits) return allocations;
  return [...allocations, { grantId: OWED, credits: credits - paid }];
}

/** Chooses where `credits` of these demands come from. Fails as `allocate` does. */
export function allocateDemands(
  book: Book,
  credits: bigint,
  demands: readonly Demand[],
): readonly Allocation[] | Failure {
  const waterfall = new Waterfall();
  waterfall.addDemands(demands, credits);
  return allocateUnmet(book, waterfall, { owes: false });
}

/**
 * Chooses where the unmet demands of a waterfall come from: first from `preferred`, as far as that is
 * available. What nothing pays is owed, where the account `owes`. Otherwise it fails as `allocate` does.
 */
export function allocateUnmet(
  book: Book,
  waterfall: Waterfall,
  { preferred = [], owes }: { readonly preferred?: readonly Allocation[]; readonly owes: boolean },
): readonly Allocation[] | Failure {
  const required = waterfall.unmet;
  const allocations = assignAvailable(book, waterfall, preferred);
  const { unmet } = waterfall;
  if (unmet === 0n) return allocations;
  if (owes) return [...allocations, { grantId: OWED, credits: unmet }];
  return insufficientCredits(book, required, required - unmet);
}

/** Assigns what is available to the demands: `preferred`, every grant in burn order, then overage. */
export function assignAvailable(
  book: Book,
  waterfall: Waterfall,
  preferred: readonly Allocation[],
  overageLeft = () => headroom(book).overage,
): readonly Allocation[] {
  const assigned = new Map<bigint, bigint>();
  const assign = (grantId: bigint, operations: readonly string[], available: bigint) => {
    const credits = available > 0n ? waterfall.assign(toSource(operations, available)) : 0n;
    if (credits > 0n) assigned.set(grantId, (assigned.get(grantId) ?? 0n) + credits);
  };
  for (const { grantId, credits } of preferred) {
    const grant = book.grants.find((candidate) => candidate.grantId === grantId);
    if (grant) assign(grantId, grant.operations, min(spendableCredits(grant, book.now), credits));
  }
  if (waterfall.unmet > 0n)
    for (const grant of book.spendingOrder()) {
      const { grantId, operations } = grant;
      assign(
        grantId,
        operations,
        spendableCredits(grant, book.now) - (assigned.get(grantId) ?? 0n),
      );
      if (waterfall.unmet === 0n) break;
    }
  if (waterfall.unmet > 0n) assign(OVERAGE, [], overageLeft());
  return [...assigned].map(([grantId, credits]) => ({ grantId, credits }));
}

/** Whether any of these allocations is of a grant that is limited to operations. */
export const includesLimitedGrant = (book: Book, allocations: readonly Allocation[]): boolean =>
  book.hasLimitedGrants &&
  allocations.some(
    (allocation) => isOfGrant(allocation) && isLimited(book.getGrant(allocation.grantId)),
  );

/** What `allocate` would find, for an estimate: see EstimateResponse. */
export type AllocationPreview = { readonly available: bigint; readonly shortfall: bigint };

export function previewAllocation(
  book: Book,
  credits: bigint,
  lines: readonly PricedUsage[],
): AllocationPreview {
  const room = headroom(book, lines);
  const available = room.grants + room.overage;
  if (!book.hasLimitedGrants)
    return { available, shortfall: credits > available ? credits - available : 0n };
  const waterfall = new Waterfall();
  waterfall.addDemands(toDemands(credits, lines));
  assignAvailable(book, waterfall, []);
  const { unmet } = waterfall;
  if (unmet > 0n) return { available: credits - unmet, shortfall: unmet };
  return { available, shortfall: 0n };
}
