/** Raise, extend and release, as the contract describes them. */
import { Entry_Kind, Reservation_State } from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import { overBudget, reportBudgets } from './budgets.ts';
import { type Deciding, refusalOfNew, refusalOfRunning } from './deciding.ts';
import { namesOf } from './due.ts';
import { fund, returnMoves } from './funding.ts';
import { raiseRoom } from './late.ts';
import { balanceOf, reservationOf } from './messages.ts';
import { needsOf } from './prices.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { added as addedShares } from './shares.ts';
import {
  type AccountState,
  isActive,
  mergeParts,
  OVERAGE,
  OWED,
  type Part,
  type ReservationState,
  totalOf,
} from './state.ts';
import { amountOf, changeOf, isLimited, jobOf, millisOf, take, toNeeds } from './work.ts';

const invalid = new Refusal('INVALID_FIELD');

export const notFound = (reservationId: string): Refusal =>
  new Refusal('RESERVATION_NOT_FOUND', { reservation_id: reservationId });

/** The refusal that names how the reservation ended. */
export function ended(reservation: ReservationState): Refusal {
  const { state, endedAt, expiresAt, committed } = reservation;
  const names = {
    [Reservation_State.COMMITTED]: 'COMMITTED',
    [Reservation_State.RELEASED]: 'RELEASED',
    [Reservation_State.EXPIRED]: 'EXPIRED',
  } as const;
  const name = names[state as keyof typeof names];
  return new Refusal(`RESERVATION_${name}`, {
    state: name,
    at: new Date(endedAt ?? expiresAt).toISOString(),
    committed,
  });
}

/** Active, or expired and within the grace period of the account's plan. */
export const canEnd = (state: AccountState, reservation: ReservationState, now: number): boolean =>
  isActive(reservation) ||
  (reservation.state === Reservation_State.EXPIRED &&
    now <= reservation.expiresAt + state.plan.graceMs);

export function raise(
  state: AccountState,
  request: RequestOf<'raiseReservation'>,
  { now, author }: Deciding,
): First<'raiseReservation'> | Refusal {
  const before = state.reservations.get(request.reservationId);
  if (!before) return notFound(request.reservationId);
  if (!isActive(before)) return ended(before);
  const unwanted = refusalOfNew(state);
  if (unwanted) return unwanted;
  const priced = amountOf(request);
  if (priced instanceof Refusal) return priced;
  const change = changeOf(priced);
  const over = overBudget(state, jobOf(before), change);
  if (over) return over;
  const added = fund(state, toNeeds(priced), now, raiseRoom(state, before, now));
  if (added instanceof Refusal) return added;
  const { credits, lines } = priced;
  const entry = state.post(
    Entry_Kind.RAISE,
    now,
    {
      moves: take(added, 'reserved'),
      credits,
      usages: lines as PricedUsage[],
      ...namesOf(before),
    },
    author,
  );
  const isForUsages = before.heldFor || added.some((part) => isLimited(state, part));
  const reservation = {
    ...before,
    credits: before.credits + credits,
    held: inBurnOrder(state, [...before.held, ...added]),
    heldFor: isForUsages ? [...(before.heldFor ?? []), ...needsOf(lines)] : null,
    heldShares: addedShares(before.heldShares, change.shares),
  };
  state.reservations.set(reservation.reservationId, reservation);
  reportBudgets(state, jobOf(before), change);
  return {
    reservation: reservationOf(state.accountId, reservation),
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    raised: credits,
    lines: lines as PricedUsage[],
  };
}

export function inBurnOrder(state: AccountState, parts: readonly Part[]): readonly Part[] {
  const merged = new Map(mergeParts(parts).map((part) => [part.grantId, part]));
  const ids = [...state.burnOrder.map(({ grantId }) => grantId), OVERAGE, OWED];
  return ids.flatMap((grantId) => merged.get(grantId) ?? []);
}

export function extend(
  state: AccountState,
  request: RequestOf<'extendReservation'>,
  { now, author }: Deciding,
): First<'extendReservation'> | Refusal {
  const before = state.reservations.get(request.reservationId);
  if (!before) return notFound(request.reservationId);
  if (!isActive(before)) return ended(before);
  const unwanted = refusalOfRunning(state);
  if (unwanted) return unwanted;
  const ttl = millisOf(request.ttl ?? { seconds: 0n, nanos: 0 });
  if (ttl > state.plan.maxTtlMs) return invalid;
  const expiresAt = now + ttl;
  if (expiresAt <= before.expiresAt)
    return { reservation: reservationOf(state.accountId, before), entrySeq: 0n };
  const reservation = { ...before, expiresAt };
  state.reservations.set(before.reservationId, reservation);
  const entry = state.post(
    Entry_Kind.EXTEND,
    now,
    { expiresAt: new Date(expiresAt), ...namesOf(before) },
    author,
  );
  return { reservation: reservationOf(state.accountId, reservation), entrySeq: entry.seq };
}

export function release(
  state: AccountState,
  request: RequestOf<'release'>,
  { now, author }: Deciding,
): First<'release'> | Refusal {
  const before = state.reservations.get(request.reservationId);
  if (!before) return notFound(request.reservationId);
  if (before.state === Reservation_State.COMMITTED) return ended(before);
  const answer = (reservation: ReservationState, released: bigint, entrySeq: bigint) => ({
    reservation: reservationOf(state.accountId, reservation),
    balance: balanceOf(state, now),
    released,
    entrySeq,
  });
  if (!canEnd(state, before, now)) return answer(before, 0n, 0n);
  const released = totalOf(before.held);
  const entry = state.post(
    Entry_Kind.RELEASE,
    now,
    { moves: returnMoves(state, before.held, now), credits: released, ...namesOf(before) },
    author,
  );
  const reservation = {
    ...before,
    state: Reservation_State.RELEASED,
    returned: before.returned + released,
    held: [],
    lapsed: [],
    heldFor: null,
    endedAt: now,
  };
  state.reservations.set(before.reservationId, reservation);
  return answer(reservation, released, entry.seq);
}
