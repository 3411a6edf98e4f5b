/**
 * Chooses which grants pay for late usage: first the allowances of the time of its use that have expired since, then
 * what pays now, in burn order, and overage of the month of its use last. Nothing here changes the book.
 */
import type { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import type { Book } from '../book.ts';
import { canReturn } from '../expired-allowances.ts';
import { insufficientCredits } from '../failures.ts';
import { checkUsedAt } from '../late-usage.ts';
import { overageOfMonth } from '../month-overage.ts';
import { isSameMonth } from '../periods/period.ts';
import type { PricedAmount } from '../requested-amount.ts';
import { assignAvailable, headroom } from './allocate.ts';
import { type Allocation, OVERAGE } from './allocation.ts';
import { toDemands, toSource, Waterfall } from './waterfall.ts';

/** `holds`: it is set aside, so that the limit of the present month must allow it, too. */
export function allocateLate(
  book: Book,
  { credits, lines }: PricedAmount,
  usedAt: number,
  { holds }: { readonly holds: boolean },
): readonly Allocation[] | Failure {
  const waterfall = new Waterfall();
  waterfall.addDemands(toDemands(credits, lines), credits);
  const returned: Allocation[] = [];
  for (const grant of book.grants) {
    if (!canReturn(grant, usedAt, book.now)) continue;
    const { grantId, operations, expired } = grant;
    const credits = waterfall.assign(toSource(operations, expired));
    if (credits > 0n) returned.push({ grantId, credits });
  }
  const room = lateHeadroom(book, usedAt);
  const overage = holds ? min(room, headroom(book).overage) : room;
  const paid = assignAvailable(book, waterfall, [], () => overage);
  const { unmet } = waterfall;
  if (unmet > 0n) return insufficientCredits(book, credits, credits - unmet);
  return [...returned, ...paid];
}

/** Why the month of `usedAt` has no room for what a raise adds to a reservation; null: it has, or none is needed. */
export function checkLateRaise(
  book: Book,
  credits: bigint,
  added: readonly Allocation[],
  usedAt: number,
): Failure | null {
  const { account, now } = book;
  const overage = added.find(({ grantId }) => grantId === OVERAGE)?.credits ?? 0n;
  if (overage === 0n || isSameMonth(account.timeZones, now, usedAt)) return null;
  // It counts when it is committed.
  if (checkUsedAt(book, usedAt) !== null) return null;
  const room = lateHeadroom(book, usedAt);
  return overage > room ? insufficientCredits(book, credits, credits - overage + room) : null;
}

/** Credits that overage of the month of `usedAt` can give now. */
function lateHeadroom(book: Book, usedAt: number): bigint {
  const { account, plan } = book;
  const limit = plan.terms.overage?.limit ?? 0n;
  const left = limit - overageOfMonth(book, usedAt) - account.overageReserved;
  return left > 0n ? left : 0n;
}
