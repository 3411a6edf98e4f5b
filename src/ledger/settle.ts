/**
 * What happens to an account by itself, as time passes: reservations and grants expire, scheduled
 * grants become effective, allowances are due. A unit of work settles an account before it decides
 * anything on it, so no rule ever sees a reservation, grant or allowance that should be otherwise.
 */
import type { Terms } from '../pricing/plan.ts';
import { monthName, monthStart } from './account.ts';
import { type Book, movesOf } from './book.ts';
import type { Origin } from './entry.ts';
import { announceCrossing } from './event.ts';
import { DEFAULT_PRIORITY, type Grant, grantAvailable, hasExpired } from './grant.ts';
import { type Allocation, heldBy, OVERAGE, type Reservation } from './reservation.ts';
import { followTopUp } from './top-up.ts';

export const SERVICE = 'scrip';

/** Brings the account up to `book.now`. `trace` is that of the unit of work that does it. */
export function settle(book: Book, trace: Pick<Origin, 'traceId' | 'spanId'>) {
  followTerms(book);
  settleDue(book, { caller: SERVICE, requestId: '', ...trace });
  // Looked at though nothing was due: the plan may have another threshold than when it was last.
  announceCrossing(book, trace);
  followTopUp(book);
}

function settleDue(book: Book, origin: Origin) {
  const { account } = book;
  if (account.dueAt === null || account.dueAt > book.now) return;
  // What is settled can make more due: an allowance of a month long past has expired, too.
  for (let due = dueNow(book, origin); due.length > 0; due = dueNow(book, origin))
    for (const event of due) event.settle();
  account.dueAt = dueAfter(book);
  book.changes.account = true;
}

/** Terms of the plan that are kept on the account's row: for the database to check, and to be due. */
function followTerms(book: Book) {
  const { account, plan, now } = book;
  const used = account.overage + account.overageReserved;
  const limit = plan.terms.overage?.limit ?? 0n;
  account.overageLimit = limit > used ? limit : used;
  if (!plan.terms.allowance === (account.allowanceDueAt === null)) return;
  // A plan that gives an allowance only since the account was opened gives it from next month on.
  account.allowanceDueAt = plan.terms.allowance ? monthStart(now, 1) : null;
  book.changes.account = true;
  book.due(account.allowanceDueAt);
}

/** The allowance an account still gets; a closed account is granted nothing. */
const allowanceOf = (book: Book) =>
  book.account.state === 'OPEN' ? book.plan.terms.allowance : null;

type Due = { readonly at: number; readonly settle: () => void };

/** What is due by now, in the order of the moments it was due. */
function dueNow(book: Book, origin: Origin): readonly Due[] {
  const due: Due[] = [];
  const offer = (at: number | null, settle: () => void) => {
    if (at !== null && at <= book.now) due.push({ at, settle });
  };
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE')
      offer(reservation.expiresAt, () => expireReservation(book, reservation, origin));
  for (const grant of book.grants)
    if (grant.state === 'SCHEDULED')
      offer(grant.effectiveAt, () => makeEffective(book, grant, origin));
    else if (grantAvailable(grant) > 0n)
      offer(grant.expiresAt, () => expireGrant(book, grant, origin));
  const allowance = allowanceOf(book);
  if (allowance) offer(book.account.allowanceDueAt, () => grantAllowance(book, allowance, origin));
  return due.sort((a, b) => a.at - b.at);
}

function expireReservation(book: Book, reservation: Reservation, origin: Origin) {
  const held = heldBy(reservation);
  book.post(
    {
      kind: 'EXPIRE',
      moves: giveBack(book, reservation.allocations),
      credits: held,
      reservationId: reservation.reservationId,
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
  book.changes.reservations.change(reservation);
  book.announce(
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
export function giveBack(book: Book, allocations: readonly Allocation[]) {
  const expired = (allocation: Allocation) => fromExpiredGrant(book, allocation);
  return [
    ...movesOf(
      allocations.filter((a) => !expired(a)),
      'reserved',
      'available',
    ),
    ...movesOf(allocations.filter(expired), 'reserved', 'expired'),
  ];
}

export const fromExpiredGrant = (book: Book, { grantId }: Allocation): boolean =>
  grantId !== OVERAGE && hasExpired(book.grant(grantId), book.now);

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

function expireGrant(book: Book, grant: Grant, origin: Origin) {
  const credits = grantAvailable(grant);
  book.post(
    {
      kind: 'GRANT_EXPIRED',
      moves: [{ from: 'available', to: 'expired', grantId: grant.grantId, credits }],
      credits,
      grantId: grant.grantId,
      reference: grant.sourceReference,
    },
    origin,
  );
  book.announce(
    'grant.expired',
    {
      grant_id: grant.grantId.toString(),
      credits: credits.toString(),
      category: grant.category,
    },
    origin,
  );
}

/**
 * Grants the allowance of the period that `allowanceDueAt` opens and turns to the next one. An
 * account nobody touched for months gets each of its periods, the past ones as breakage.
 */
export function grantAllowance(
  book: Book,
  allowance: NonNullable<Terms['allowance']>,
  origin: Origin,
) {
  const { account } = book;
  const opens = account.allowanceDueAt ?? monthStart(book.now);
  const grant = book.addGrant({
    amount: allowance.credits,
    category: 'ALLOWANCE',
    priority: DEFAULT_PRIORITY,
    effectiveAt: opens,
    expiresAt: monthStart(opens, 1),
    source: 'ALLOWANCE',
    sourceReference: monthName(opens),
    state: 'OPEN',
  });
  account.allowanceDueAt = monthStart(opens, 1);
  book.due(account.allowanceDueAt);
  book.post(
    {
      kind: 'GRANT',
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
    else if (grant.remaining > 0n && !hasExpired(grant, book.now)) moments.push(grant.expiresAt);
  }
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE') moments.push(reservation.expiresAt);
  const ahead = moments.filter((at): at is number => at !== null);
  return ahead.length === 0 ? null : Math.min(...ahead);
}
