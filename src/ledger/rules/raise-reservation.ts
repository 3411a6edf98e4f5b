/** RaiseReservation: sets more credits aside for a job that is larger than expected. */
import { Failure } from '../../failure.ts';
import { MAX_CREDITS } from '../../pricing/plan.ts';
import { allocate, includesLimitedGrant } from '../allocation/allocate.ts';
import { checkLateRaise } from '../allocation/allocate-late.ts';
import { mergeInBurnOrder } from '../allocation/allocation.ts';
import { demandsByOperation, toDemands } from '../allocation/waterfall.ts';
import type { Book } from '../book.ts';
import { applyCounts, planCounts } from '../budget-counts.ts';
import { addedBy, addShares } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import type { Origin } from '../entry.ts';
import { invalidField, reservationEnded, reservationNotFound } from '../failures.ts';
import { toMoves } from '../moves.ts';
import { priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { entryFields, jobOf, type Reservation } from '../reservation.ts';
import { refuseNewWork } from '../suspension.ts';

export type RaiseReservation = {
  readonly kind: 'RaiseReservation';
  readonly reservationId: string;
  /** What is added. Usages are priced on the reservation's rate card version. */
  readonly amount: RequestedAmount;
};

export function raiseReservation(book: Book, command: RaiseReservation, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state !== 'ACTIVE') return reservationEnded(reservation);
  const refused = refuseNewWork(book);
  if (refused) return refused;
  const priced = priceAmount(book, command.amount, reservation);
  if (priced instanceof Failure) return priced;
  const tooMuch = checkReservedLimit(reservation, command, priced.credits);
  if (tooMuch) return tooMuch;
  const overLimit = checkCallerLimits(book, priced.credits);
  if (overLimit) return overLimit;
  const counts = planCounts(book, jobOf(reservation), addedBy(priced));
  if (counts instanceof Failure) return counts;
  const added = allocate(book, priced.credits, priced.lines);
  if (added instanceof Failure) return added;
  const { usedAt } = reservation;
  const noRoom = usedAt === null ? null : checkLateRaise(book, priced.credits, added, usedAt);
  if (noRoom) return noRoom;

  const entry = book.post(
    {
      kind: 'RAISE',
      moves: toMoves(added, 'available', 'reserved'),
      credits: priced.credits,
      usages: priced.lines,
      ...entryFields(reservation),
    },
    origin,
  );
  reservation.credits += priced.credits;
  reservation.allocations = mergeInBurnOrder(book, [...reservation.allocations, ...added]);
  if (reservation.heldFor || includesLimitedGrant(book, added))
    reservation.heldFor = [...(reservation.heldFor ?? []), ...demandsByOperation(priced.lines)];
  if (reservation.heldByOperation) {
    const demands = toDemands(priced.credits, priced.lines);
    reservation.heldByOperation = addShares(reservation.heldByOperation, demands);
  }
  applyCounts(book, counts, origin);
  book.changes.reservations.markChanged(reservation);
  return {
    kind: 'RaiseReservation',
    reservation,
    raised: priced.credits,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}

/** What one job has reserved is int64, however often it commits a part and its account is granted more. */
function checkReservedLimit(
  { credits }: Reservation,
  { amount }: RaiseReservation,
  added: bigint,
): Failure | null {
  if (credits + added <= MAX_CREDITS) return null;
  return invalidField(
    'usages' in amount ? 'usages' : 'credits',
    `must leave the reservation at most ${MAX_CREDITS} credits, committed ones included; it has ${credits}`,
    { allowed: MAX_CREDITS - credits },
  );
}
