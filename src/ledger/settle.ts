/**
 * What happens to an account by itself, as time passes: reservations and grants expire, scheduled
 * grants become effective, allowances are due. A unit of work settles an account before it decides
 * anything on it, so no rule ever sees a reservation, grant or allowance that should be otherwise.
 */
import { type Allocation, OVERAGE } from './allocation/allocation.ts';
import { grantAllowance, periodOf } from './allowance.ts';
import { type Book, toMoves } from './book.ts';
import type { Origin } from './entry.ts';
import { updateLowBalance } from './event.ts';
import { expireGrant } from './expire-grant.ts';
import { emitExpiryNotice, isNoticeDue } from './expiry-notice.ts';
import { type Grant, grantAvailable, hasExpired } from './grant.ts';
import { heldCredits, type Reservation } from './reservation.ts';
import { updateStatementDueAt } from './statement.ts';
import { updateTopUpDueAt } from './top-up.ts';

export const SERVICE_CALLER = 'scrip';

/** Brings the account up to `book.now`. `trace` is that of the unit of work that does it. */
export function settle(book: Book, trace: Pick<Origin, 'traceId' | 'spanId'>) {
  syncPlanTerms(book);
  settleDue(book, { caller: SERVICE_CALLER, requestId: '', ...trace });
  // Looked at though nothing was due: the plan may have another threshold than when it was last.
  updateLowBalance(book, trace);
  updateTopUpDueAt(book);
}

function settleDue(book: Book, origin: Origin) {
  const { account } = book;
  if (account.dueAt === null || account.dueAt > book.now) return;
  // What is settled can make more due: an allowance of a month long past has expired, too.
  for (let due = dueNow(book, origin); due.length > 0; due = dueNow(book, origin))
    for (const event of due) {
      event.settle();
      // The next allowance may be due before what else is: it comes in its turn, not after.
      if (event.startsNewPeriod) break;
    }
  account.dueAt = dueAfter(book);
  book.changes.account = true;
}

/** Terms of the plan that are kept on the account's row: for the database to check, and to be due. */
export function syncPlanTerms(book: Book) {
  const { account, plan, now } = book;
  const used = account.overage + account.overageReserved;
  const limit = plan.terms.overage?.limit ?? 0n;
  account.overageLimit = limit > used ? limit : used;
  updateStatementDueAt(book);
  const { allowance } = plan.terms;
  if (!allowance === (account.allowanceDueAt === null)) return;
  // A plan that gives an allowance only since the account was opened gives it from the next period on.
  account.allowanceDueAt = allowance
    ? periodOf(allowance.every, account.openedAt, now).until
    : null;
  book.changes.account = true;
  book.scheduleSettling(account.allowanceDueAt);
}

/** The allowance an account still gets; a closed account is granted nothing. */
const allowanceOf = (book: Book) =>
  book.account.state === 'OPEN' ? book.plan.terms.allowance : null;

type Due = { readonly at: number; readonly settle: () => void; readonly startsNewPeriod: boolean };

/** What is due by now, in the order of the moments it was due. */
function dueNow(book: Book, origin: Origin): readonly Due[] {
  const due: Due[] = [];
  const offer = (at: number | null, settle: () => void, startsNewPeriod = false) => {
    if (at !== null && at <= book.now) due.push({ at, settle, startsNewPeriod });
  };
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE')
      offer(reservation.expiresAt, () => expireReservation(book, reservation, origin));
  for (const grant of book.grants) {
    if (grant.state === 'SCHEDULED')
      offer(grant.effectiveAt, () => makeEffective(book, grant, origin));
    else if (grantAvailable(grant) > 0n)
      offer(grant.expiresAt, () => expireGrant(book, grant, grantAvailable(grant), origin));
    if (isNoticeDue(grant, book.now))
      offer(grant.noticeAt, () => emitExpiryNotice(book, grant, origin));
  }
  const allowance = allowanceOf(book);
  if (allowance)
    offer(book.account.allowanceDueAt, () => grantAllowance(book, allowance, origin), true);
  return due.sort((a, b) => a.at - b.at);
}

function expireReservation(book: Book, reservation: Reservation, origin: Origin) {
  const held = heldCredits(reservation);
  book.post(
    {
      kind: 'EXPIRE',
      moves: toReturnMoves(book, reservation.allocations),
      credits: held,
      reservationId: reservation.reservationId,
      planId: reservation.planId,
      rateCardVersion: reservation.rateCardVersion,
      reference: reservation.reference,
      labels: reservation.labels,
    },
    origin,
  );
  reservation.state = 'EXPIRED';
  reservation.returned += held;
  reservation.allocations = [];
  reservation.endedAt = reservation.expiresAt;
  book.changes.reservations.markChanged(reservation);
  book.emitEvent(
    'reservation.expired',
    {
      reservation_id: reservation.reservationId,
      credits: held.toString(),
      reference: reservation.reference,
    },
    origin,
  );
}

/**
 * Moves that give reserved credits back to the grants they came from; what belongs to a grant that
 * has expired meanwhile is breakage.
 */
export function toReturnMoves(book: Book, allocations: readonly Allocation[]) {
  const expired = (allocation: Allocation) => isFromExpiredGrant(book, allocation);
  return [
    ...toMoves(
      allocations.filter((a) => !expired(a)),
      'reserved',
      'available',
    ),
    ...toMoves(allocations.filter(expired), 'reserved', 'expired'),
  ];
}

export const isFromExpiredGrant = (book: Book, { grantId }: Allocation): boolean =>
  grantId !== OVERAGE && hasExpired(book.getGrant(grantId), book.now);

function makeEffective(book: Book, grant: Grant, origin: Origin) {
  grant.state = 'OPEN';
  book.post(
    {
      kind: 'GRANT_EFFECTIVE',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits: grant.amount }],
      credits: grant.amount,
      grantId: grant.grantId,
      reference: grant.sourceReference,
    },
    origin,
  );
}

/** The next moment at which something will happen by itself. */
function dueAfter(book: Book): number | null {
  const moments: (number | null)[] = [
    allowanceOf(book) ? book.account.allowanceDueAt : null,
    book.nextReservationExpiry,
  ];
  for (const grant of book.grants) {
    if (grant.state === 'SCHEDULED') moments.push(grant.effectiveAt);
    else if (grant.remaining > 0n && !hasExpired(grant, book.now))
      moments.push(grant.expiresAt, grant.noticeAt);
  }
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE') moments.push(reservation.expiresAt);
  const ahead = moments.filter((at): at is number => at !== null);
  return ahead.length === 0 ? null : Math.min(...ahead);
}
