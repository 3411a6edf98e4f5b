/** Takes credits from an account in burn order, and says what is missing where they do not suffice. */
import type { Failure } from '../../failure.ts';
import type { PricedUsage } from '../../pricing/price.ts';
import { currentOverage } from '../account.ts';
import type { Book } from '../book.ts';
import { insufficientCredits } from '../failures.ts';
import { type Grant, grantAvailable, hasExpired, isLimited } from '../grant.ts';
import { type Allocation, OVERAGE } from '../reservation.ts';
import { canPay, type Demand, toDemands, toSource, Waterfall } from './waterfall.ts';

/** Credits of a grant that can be taken now: effective, not expired, not set aside. */
const spendable = (grant: Grant, now: number): bigint =>
  grant.state === 'SCHEDULED' || hasExpired(grant, now) ? 0n : grantAvailable(grant);

const CREDITS_ALONE: readonly PricedUsage[] = [];

export type Headroom = {
  /** What grants can give now. */
  readonly grants: bigint;
  /** What the postpaid line can give now. */
  readonly overage: bigint;
};

/** What can be given for these usages at most, each grant for any of them; or for credits alone. */
export function headroom(book: Book, lines = CREDITS_ALONE): Headroom {
  const { account, grants, plan, now, hasLimitedGrants } = book;
  const limit = plan.terms.overage?.limit ?? 0n;
  const overage = limit - currentOverage(account, now) - account.overageReserved;
  const serves = (grant: Grant) =>
    canPay(grant, null) || lines.some(({ usage }) => canPay(grant, usage.operation));
  return {
    grants: grants.reduce(
      (sum, grant) => (hasLimitedGrants && !serves(grant) ? sum : sum + spendable(grant, now)),
      0n,
    ),
    overage: overage > 0n ? overage : 0n,
  };
}

/**
 * Chooses where `credits` come from, in burn order, overage last: credits for `lines`, or without
 * any credits alone. Changes nothing. Fails with INSUFFICIENT_CREDITS, or OVERAGE_LIMIT_REACHED on a
 * postpaid plan.
 */
export function allocate(
  book: Book,
  credits: bigint,
  lines = CREDITS_ALONE,
): readonly Allocation[] | Failure {
  if (book.hasLimitedGrants) return allocateDemands(book, credits, toDemands(credits, lines));
  const allocations: Allocation[] = [];
  let missing = credits;
  for (const grant of book.grants) {
    if (missing === 0n) break;
    const here = spendable(grant, book.now);
    const take = here < missing ? here : missing;
    if (take === 0n) continue;
    allocations.push({ grantId: grant.grantId, credits: take });
    missing -= take;
  }
  if (missing === 0n) return allocations;
  const room = headroom(book);
  if (missing > room.overage) return insufficientCredits(book, credits, room.grants + room.overage);
  allocations.push({ grantId: OVERAGE, credits: missing });
  return allocations;
}

/** The same where grants are limited: `credits` of these demands. */
export function allocateDemands(
  book: Book,
  credits: bigint,
  demands: readonly Demand[],
): readonly Allocation[] | Failure {
  const waterfall = new Waterfall();
  waterfall.addDemands(demands, credits);
  return allocateUnmet(book, waterfall);
}

/** Has what is available pay what a waterfall is missing. */
export function allocateUnmet(book: Book, waterfall: Waterfall): readonly Allocation[] | Failure {
  const required = waterfall.unmet;
  const allocations = pourAll(book, waterfall);
  if (waterfall.unmet === 0n) return allocations;
  return insufficientCredits(book, required, required - waterfall.unmet);
}

function pourAll(book: Book, waterfall: Waterfall): readonly Allocation[] {
  const allocations: Allocation[] = [];
  const pour = (grantId: bigint, operations: readonly string[], spare: bigint) => {
    const credits = spare > 0n ? waterfall.addSource(toSource(operations, spare)) : 0n;
    if (credits > 0n) allocations.push({ grantId, credits });
  };
  for (const grant of book.grants) {
    if (waterfall.unmet === 0n) return allocations;
    pour(grant.grantId, grant.operations, spendable(grant, book.now));
  }
  pour(OVERAGE, [], headroom(book).overage);
  return allocations;
}

/** Whether any of these allocations is of a grant that is limited to operations. */
export const includesLimitedGrant = (book: Book, allocations: readonly Allocation[]): boolean =>
  book.hasLimitedGrants &&
  allocations.some(({ grantId }) => grantId !== OVERAGE && isLimited(book.getGrant(grantId)));

/** What a draw would come to: see EstimateResponse. */
export type AllocationPreview = { readonly available: bigint; readonly shortfall: bigint };

export function previewAllocation(
  book: Book,
  credits: bigint,
  lines: readonly PricedUsage[],
): AllocationPreview {
  const waterfall = new Waterfall();
  waterfall.addDemands(toDemands(credits, lines));
  pourAll(book, waterfall);
  const { unmet } = waterfall;
  if (unmet > 0n) return { available: credits - unmet, shortfall: unmet };
  const room = headroom(book, lines);
  return { available: room.grants + room.overage, shortfall: 0n };
}
