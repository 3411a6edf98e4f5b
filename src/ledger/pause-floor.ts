/** The pause floor: below it, what is left of a balance is kept for critical work. */
import type { Failure } from '../failure.ts';
import { availableCredits, effectivePauseFloor } from './account.ts';
import type { Book } from './book.ts';
import { pausedBelowFloor } from './failures.ts';

export type Criticality = 'CRITICAL' | 'SHEDDABLE';

/** The failure if work of this criticality is paused now; null if it is not. */
export function checkPauseFloor({ account, plan }: Book, criticality: Criticality): Failure | null {
  const floor = effectivePauseFloor(account, plan.terms);
  const available = availableCredits(account);
  // A floor of 0 pauses nothing, although a postpaid account can have less than 0 available.
  if (criticality === 'CRITICAL' || floor === 0n || available >= floor) return null;
  return pausedBelowFloor(available, floor);
}
