/** What Charge and Reserve begin with: their checks, in this order, the price, and the credits that pay. */
import { Failure } from '../../failure.ts';
import { allocate } from '../allocation/allocate.ts';
import { allocateLate } from '../allocation/allocate-late.ts';
import type { Allocation } from '../allocation/allocation.ts';
import type { Book } from '../book.ts';
import { type BudgetCount, newJob, planCounts } from '../budget-counts.ts';
import { addedBy } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import type { Labels, Origin } from '../entry.ts';
import { reinstateExpired } from '../expired-allowances.ts';
import { checkUsedAt } from '../late-usage.ts';
import { type Criticality, checkPauseFloor } from '../pause-floor.ts';
import {
  chooseRateCard,
  type PricedAmount,
  priceAmount,
  type RateCardRef,
  type RequestedAmount,
} from '../requested-amount.ts';

export type NewWork = {
  readonly amount: RequestedAmount;
  /** Null: the version in force now. */
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  readonly criticality: Criticality;
  /** When the work was done; null: now. */
  readonly usedAt: number | null;
};

export type BegunWork = {
  readonly priced: PricedAmount;
  readonly rateCard: RateCardRef;
  readonly counts: readonly BudgetCount[];
  readonly split: readonly Allocation[];
};

/**
 * `holds`: the credits are set aside. What late usage takes of expired allowances returns by an entry before that of the
 * work; nothing else changes.
 */
export function beginWork(
  book: Book,
  work: NewWork,
  origin: Origin,
  { holds }: { readonly holds: boolean },
): BegunWork | Failure {
  const { usedAt } = work;
  const tooLate = checkUsedAt(book, usedAt);
  if (tooLate) return tooLate;
  const rateCard = chooseRateCard(book, work.rateCardVersion, usedAt);
  if (rateCard instanceof Failure) return rateCard;
  const priced = priceAmount(book, work.amount, rateCard);
  if (priced instanceof Failure) return priced;
  const overLimit = checkCallerLimits(book, priced.credits);
  if (overLimit) return overLimit;
  const paused = checkPauseFloor(book, work.criticality, priced.lines);
  if (paused) return paused;
  const counts = planCounts(book, newJob(book, work.labels, usedAt), addedBy(priced));
  if (counts instanceof Failure) return counts;
  const split =
    usedAt === null
      ? allocate(book, priced.credits, priced.lines)
      : allocateLate(book, priced, usedAt, { holds });
  if (split instanceof Failure) return split;
  if (usedAt !== null) reinstateExpired(book, split, usedAt, origin);
  return { priced, rateCard, counts, split };
}
