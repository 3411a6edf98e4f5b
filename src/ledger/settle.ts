/**
 * Settling: what happens to an account by itself as time passes. Reservations and grants expire,
 * scheduled grants become effective, allowances are granted. A unit of work settles an account before
 * it decides commands, so no rule sees a reservation or grant whose time is over.
 */
import { allowancePeriodAt, grantAllowance } from './allowance.ts';
import { disableWithoutPack } from './auto-top-up.ts';
import type { Book } from './book.ts';
import { returnCounts } from './budget-counts.ts';
import { returnedByEnd } from './budgeted-operations.ts';
import { type Origin, serviceOrigin, type Trace } from './entry.ts';
import { expireGrant } from './expire-grant.ts';
import { emitExpiryNotice, isNoticeDue } from './expiry-notice.ts';
import {
  type Grant,
  grantAvailable,
  hasExpired,
  isLimited,
  isOpen,
  scheduledCredits,
} from './grant.ts';
import { updateLowBalance } from './low-balance.ts';
import { toReturnMoves } from './moves.ts';
import { entryFields, heldCredits, jobOf, type Reservation } from './reservation.ts';
import { updateStatementDueAt } from './statement-closing.ts';
import { updateTopUpDueAt } from './top-up.ts';
import { updateStranded } from './usable-credits.ts';

/** Brings the account up to `book.now`. `trace` is that of the unit of work. */
export function settle(book: Book, trace: Trace) {
  syncPlanTerms(book);
  settleDueItems(book, serviceOrigin(trace));
  // Even if nothing was due, the plan may have other prices and thresholds than when it was last settled.
  updateStranded(book, trace);
  updateLowBalance(book, trace);
  disableWithoutPack(book, trace);
  updateTopUpDueAt(book);
}

/** Whether time has brought something about that is not written yet. It cannot be undone once it is. */
export const isSettlementDue = (book: Book): boolean =>
  book.account.dueAt !== null && book.account.dueAt <= book.now && listDueItems(book).length > 0;

/** Brings up to date what the account's row keeps of its plan: overage limit, due statement, due allowance. */
export function syncPlanTerms(book: Book) {
  const { account, plan, now } = book;
  const { overage, overageBefore } = account;
  const most = overageBefore !== null && overageBefore > overage ? overageBefore : overage;
  const used = most + account.overageReserved;
  const limit = plan.terms.overage?.limit ?? 0n;
  account.overageLimit = limit > used ? limit : used;
  updateStatementDueAt(book);
  const { allowance } = plan.terms;
  if (!allowance || account.allowanceDueAt !== null) return;
  // A plan that has gained an allowance gives it to existing accounts from the next period on.
  account.allowanceDueAt = allowancePeriodAt(account, allowance, now).until;
  book.changes.account = true;
  book.scheduleSettling(account.allowanceDueAt);
}

function settleDueItems(book: Book, origin: Origin) {
  const { account } = book;
  if (account.dueAt === null || account.dueAt > book.now) return;
  // Settling can make more due: an allowance of a past month has expired as well.
  for (let items = listDueItems(book); items.length > 0; items = listDueItems(book))
    for (const { settle, bringsMore } of items) {
      settle(origin);
      // What it brings may be due before the remaining items, so they are listed again.
      if (bringsMore) break;
    }
  account.dueAt = findNextDueAt(book);
  account.hasLimitedGrants = book.grants.some((grant) => isOpen(grant) && isLimited(grant));
  book.changes.account = true;
}

type DueItem = {
  readonly at: number;
  readonly settle: (origin: Origin) => void;
  /** Whether more can become due by it: after an allowance the next one, of a new grant its expiry. */
  readonly bringsMore: boolean;
};

/** What is due by now, in order of time. */
function listDueItems(book: Book): readonly DueItem[] {
  const items: DueItem[] = [];
  const addIfDue = (at: number | null, settle: DueItem['settle'], bringsMore = false) => {
    if (at !== null && at <= book.now) items.push({ at, settle, bringsMore });
  };
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE')
      addIfDue(reservation.expiresAt, (origin) => expireReservation(book, reservation, origin));
  for (const grant of book.grants) {
    if (grant.state === 'SCHEDULED')
      addIfDue(grant.effectiveAt, (origin) => makeEffective(book, grant, origin), true);
    else if (grantAvailable(grant) > 0n)
      addIfDue(grant.expiresAt, (origin) =>
        expireGrant(book, grant, grantAvailable(grant), origin),
      );
    if (isNoticeDue(grant, book.now))
      addIfDue(grant.noticeAt, (origin) => emitExpiryNotice(book, grant, origin));
  }
  if (book.account.state === 'OPEN')
    addIfDue(book.account.allowanceDueAt, (origin) => startNextPeriod(book, origin), true);
  return items.sort((a, b) => a.at - b.at);
}

/** Begins the next period of the allowance, if the plan still has one. */
function startNextPeriod(book: Book, origin: Origin) {
  const { allowance } = book.plan.terms;
  if (allowance) grantAllowance(book, allowance, origin);
  else book.account.allowanceDueAt = null;
}

function expireReservation(book: Book, reservation: Reservation, origin: Origin) {
  const held = heldCredits(reservation);
  book.post(
    {
      kind: 'EXPIRE',
      moves: toReturnMoves(book, reservation.allocations),
      credits: held,
      ...entryFields(reservation),
    },
    origin,
  );
  returnCounts(book, jobOf(reservation), returnedByEnd(reservation), origin);
  reservation.state = 'EXPIRED';
  reservation.returned += held;
  reservation.expiredAllocations = reservation.allocations;
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

function makeEffective(book: Book, grant: Grant, origin: Origin) {
  const credits = scheduledCredits(grant);
  grant.state = 'OPEN';
  book.account.scheduled -= credits;
  book.post(
    {
      kind: 'GRANT_EFFECTIVE',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits }],
      credits,
      grantId: grant.grantId,
      reference: grant.sourceReference,
    },
    origin,
  );
}

/** The next moment at which something is due; null: never. */
export function findNextDueAt(book: Book): number | null {
  const moments: (number | null)[] = [
    book.account.state === 'OPEN' ? book.account.allowanceDueAt : null,
    book.nextReservationExpiry,
  ];
  for (const grant of book.grants) {
    if (grant.state === 'SCHEDULED') moments.push(grant.effectiveAt);
    else if (grant.remaining > 0n && !hasExpired(grant, book.now))
      moments.push(grant.expiresAt, grant.noticeAt);
  }
  for (const reservation of book.reservations.values())
    if (reservation.state === 'ACTIVE') moments.push(reservation.expiresAt);
  const due = moments.filter((at): at is number => at !== null);
  return due.length === 0 ? null : Math.min(...due);
}
