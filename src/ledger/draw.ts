/** Takes credits from an account in burn order, and says what is missing where they do not suffice. */
import type { Failure } from '../failure.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { overageOf } from './account.ts';
import type { Book } from './book.ts';
import { insufficientCredits } from './failures.ts';
import { type Grant, grantAvailable, hasExpired, isLimited } from './grant.ts';
import { type Allocation, OVERAGE } from './reservation.ts';
import { type Demand, demandsOf, mayPay, supplyOf, Waterfall } from './waterfall.ts';

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
  const { account, grants, plan, now, limited } = book;
  const limit = plan.terms.overage?.limit ?? 0n;
  const overage = limit - overageOf(account, now) - account.overageReserved;
  const serves = (grant: Grant) =>
    mayPay(grant, null) || lines.some(({ usage }) => mayPay(grant, usage.operation));
  return {
    grants: grants.reduce(
      (sum, grant) => (limited && !serves(grant) ? sum : sum + spendable(grant, now)),
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
export function draw(
  book: Book,
  credits: bigint,
  lines = CREDITS_ALONE,
): readonly Allocation[] | Failure {
  if (book.limited) return drawFor(book, credits, demandsOf(credits, lines));
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
export function drawFor(
  book: Book,
  credits: bigint,
  demands: readonly Demand[],
): readonly Allocation[] | Failure {
  const waterfall = new Waterfall();
  waterfall.want(demands, credits);
  return drawMissing(book, waterfall);
}

/** Has what is available pay what a waterfall is missing. */
export function drawMissing(book: Book, waterfall: Waterfall): readonly Allocation[] | Failure {
  const required = waterfall.missing;
  const allocations = pourAll(book, waterfall);
  if (waterfall.missing === 0n) return allocations;
  return insufficientCredits(book, required, required - waterfall.missing);
}

function pourAll(book: Book, waterfall: Waterfall): readonly Allocation[] {
  const allocations: Allocation[] = [];
  const pour = (grantId: bigint, operations: readonly string[], spare: bigint) => {
    const credits = spare > 0n ? waterfall.pour(supplyOf(operations, spare)) : 0n;
    if (credits > 0n) allocations.push({ grantId, credits });
  };
  for (const grant of book.grants) {
    if (waterfall.missing === 0n) return allocations;
    pour(grant.grantId, grant.operations, spendable(grant, book.now));
  }
  pour(OVERAGE, [], headroom(book).overage);
  return allocations;
}

/** Whether any of these allocations is of a grant that is limited to operations. */
export const takesLimited = (book: Book, allocations: readonly Allocation[]): boolean =>
  book.limited &&
  allocations.some(({ grantId }) => grantId !== OVERAGE && isLimited(book.grant(grantId)));

/** What a draw would come to: see EstimateResponse. */
export type DrawPreview = { readonly available: bigint; readonly shortfall: bigint };

export function outlook(book: Book, credits: bigint, lines: readonly PricedUsage[]): DrawPreview {
  const waterfall = new Waterfall();
  waterfall.want(demandsOf(credits, lines));
  pourAll(book, waterfall);
  const { missing } = waterfall;
  if (missing > 0n) return { available: credits - missing, shortfall: missing };
  const room = headroom(book, lines);
  return { available: room.grants + room.overage, shortfall: 0n };
}
