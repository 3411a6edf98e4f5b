/** The pause: below the floor, what is left of a balance is kept for critical work. */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { availableOf, pauseFloor } from '../limits-in-force.ts';

export type Criticality = 'CRITICAL' | 'SHEDDABLE';

/** The failure that refuses work of this criticality now; null where it may go on. */
export function pausedBelowFloor(
  { account, plan }: Book,
  criticality: Criticality,
): Failure | null {
  const floor = pauseFloor(account, plan.terms);
  const available = availableOf(account);
  // A postpaid account's available can be below 0, and is not paused by a floor of 0.
  if (criticality === 'CRITICAL' || floor === 0n || available >= floor) return null;
  return new Failure(
    'PAUSED_BELOW_FLOOR',
    `sheddable work is paused: ${available} credits are available, the floor is ${floor}`,
    { available, floor },
  );
}
