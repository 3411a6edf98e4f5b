/** Charge: reserves and commits in one entry, for work that is done. */
import { Failure } from '../../failure.ts';
import { allocate } from '../allocation/allocate.ts';
import { allocateLate } from '../allocation/allocate-late.ts';
import type { Book } from '../book.ts';
import { applyCounts, newJob, planCounts } from '../budget-counts.ts';
import { addedBy } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import type { Labels, Origin } from '../entry.ts';
import { reinstateExpired } from '../expired-allowances.ts';
import { checkUsedAt } from '../late-usage.ts';
import { toMoves } from '../moves.ts';
import { type Criticality, checkPauseFloor } from '../pause-floor.ts';
import { chooseRateCard, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { refuseNewWork } from '../suspension.ts';

export type Charge = {
  readonly kind: 'Charge';
  readonly amount: RequestedAmount;
  /** Null: the version in force now. */
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  readonly criticality: Criticality;
  /** When the work was done; null: now. */
  readonly usedAt: number | null;
};

export function charge(book: Book, command: Charge, origin: Origin) {
  const refused = refuseNewWork(book);
  if (refused) return refused;
  const { usedAt } = command;
  const tooLate = checkUsedAt(book, usedAt);
  if (tooLate) return tooLate;
  const rateCard = chooseRateCard(book, command.rateCardVersion, usedAt);
  if (rateCard instanceof Failure) return rateCard;
  const priced = priceAmount(book, command.amount, rateCard);
  if (priced instanceof Failure) return priced;
  const overLimit = checkCallerLimits(book, priced.credits);
  if (overLimit) return overLimit;
  const paused = checkPauseFloor(book, command.criticality, priced.lines);
  if (paused) return paused;
  const counts = planCounts(book, newJob(book, command.labels, usedAt), addedBy(priced));
  if (counts instanceof Failure) return counts;
  const split =
    usedAt === null
      ? allocate(book, priced.credits, priced.lines)
      : allocateLate(book, priced, usedAt, { holds: false });
  if (split instanceof Failure) return split;
  if (usedAt !== null) reinstateExpired(book, split, usedAt, origin);

  const entry = book.post(
    {
      kind: 'CHARGE',
      moves: toMoves(split, 'available', 'consumed'),
      credits: priced.credits,
      usages: priced.lines,
      usedAt,
      ...rateCard,
      reference: command.reference,
      labels: command.labels,
    },
    origin,
  );
  applyCounts(book, counts, origin);
  return {
    kind: 'Charge',
    credits: priced.credits,
    split,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}
