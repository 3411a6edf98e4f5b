/** The pause: below the floor, what is left of a balance is kept for critical work. */
import type { Failure } from '../failure.ts';
import { availableCredits, effectivePauseFloor } from './account.ts';
import type { Book } from './book.ts';
import { pausedBelowFloor } from './failures.ts';

export type Criticality = 'CRITICAL' | 'SHEDDABLE';

/** The failure that refuses work of this criticality now; null where it may go on. */
export function checkPauseFloor({ account, plan }: Book, criticality: Criticality): Failure | null {
  const floor = effectivePauseFloor(account, plan.terms);
  const available = availableCredits(account);
  // A postpaid account's available can be below 0, and is not paused by a floor of 0.
  if (criticality === 'CRITICAL' || floor === 0n || available >= floor) return null;
  return pausedBelowFloor(available, floor);
}
