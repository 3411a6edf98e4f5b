/** The pause floor: below it, what is left of a balance is kept for critical work. */
import type { Failure } from '../failure.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { effectivePauseFloor } from './account.ts';
import { availableFor } from './allocation/allocate.ts';
import type { Book } from './book.ts';
import { pausedBelowFloor } from './failures.ts';

export type Criticality = 'CRITICAL' | 'SHEDDABLE';

/**
 * The failure if work of this criticality is paused now; null if it is not. What counts is available for
 * the operations of the request: `lines` are its priced usages, none for an amount of credits.
 */
export function checkPauseFloor(
  book: Book,
  criticality: Criticality,
  lines: readonly PricedUsage[],
): Failure | null {
  const floor = effectivePauseFloor(book.account, book.plan.terms);
  // A floor of 0 pauses nothing, although a postpaid account can have less than 0 available.
  if (criticality === 'CRITICAL' || floor === 0n) return null;
  const available = availableFor(book, lines);
  return available >= floor ? null : pausedBelowFloor(available, floor);
}
