/** Commit, as the contract describes it. */
import { Entry_Kind, Reservation_State } from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import { overBudget, reportBudgets } from './budgets.ts';
import { commitParts, lateParts, stillNeeded } from './commit-parts.ts';
import { type Deciding, refusalOfRunning } from './deciding.ts';
import { namesOf } from './due.ts';
import { freeOf, heldOf, ofGrant, returnMoves } from './funding.ts';
import { committedAt } from './late.ts';
import { balanceOf, reservationOf } from './messages.ts';
import { needsOf, type Priced } from './prices.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { canEnd, ended, inBurnOrder, notFound } from './reservations.ts';
import { afterSpending, shareChange, sharesOfCommit, sharesOfSpending } from './shares.ts';
import {
  type AccountState,
  isActive,
  mergeParts,
  OVERAGE,
  OWED,
  type Part,
  type ReservationState,
  toAllocations,
  totalOf,
} from './state.ts';
import { ownUses, reservedUses } from './uses.ts';
import { amountOf, jobOf, recordSpending } from './work.ts';

export function commit(
  state: AccountState,
  request: RequestOf<'commit'>,
  deciding: Deciding,
): First<'commit'> | Refusal {
  const { now, author } = deciding;
  const before = state.reservations.get(request.reservationId);
  if (!before) return notFound(request.reservationId);
  const isFinal = request.final ?? true;
  if (before.state === Reservation_State.COMMITTED)
    return commitAgain(state, request, before, isFinal, now);
  if (!canEnd(state, before, now)) return ended(before);
  const unwanted = refusalOfRunning(state);
  if (unwanted) return unwanted;
  const isLate = !isActive(before);
  const whole = isLate ? before.returned : totalOf(before.held);
  const priced = request.all ? { credits: whole, lines: [] } : amountOf(request);
  if (priced instanceof Refusal) return priced;
  const parts = isLate
    ? lateParts(state, before, priced, now)
    : commitParts(state, before, priced, isFinal, deciding);
  if (parts === 'gone') return ended(before);
  if (parts instanceof Refusal) return parts;

  const { fromHeld, fromAvailable, spared, rest } = parts;
  const used = [
    ...fromHeld.map((part) => ({ ...part, from: heldOf(part), to: 'consumed' as const })),
    ...fromAvailable.map((part) => ({ ...part, from: freeOf(part), to: 'consumed' as const })),
  ];
  const ofGrants = used.filter(({ grantId }) => grantId > OVERAGE);
  const ofOverage = used.filter(({ grantId }) => grantId === OVERAGE);
  const owed = used.filter(({ grantId }) => grantId === OWED);
  const committed = totalOf(used);
  const reservation = {
    ...afterCommit(before, priced, parts, isFinal, isLate, now),
    ...afterSpending(before, sharesOfCommit(before, priced, committed, whole)),
  };
  const change = {
    credits: committed + (isFinal || isLate ? 0n : totalOf(rest)) - totalOf(before.held),
    shares: shareChange(before, reservation),
  };
  const over = overBudget(state, jobOf(before), change);
  if (over) return over;
  const { lines } = priced;
  const usedAt = committedAt(state, before, fromAvailable, now);
  const given = isFinal ? [...rest, ...spared] : spared;
  const entry = state.post(
    Entry_Kind.COMMIT,
    now,
    {
      moves: [
        ...[...ofGrants, ...ofOverage, ...owed].map(ofGrant),
        ...returnMoves(state, given, now),
      ],
      credits: committed,
      usages: lines as PricedUsage[],
      usedAt,
      late: isLate,
      final: isFinal,
      ...namesOf(before),
    },
    author,
  );
  const uses = lines.length > 0 ? ownUses(lines, committed) : reservedUses(before, committed);
  const countedAt = usedAt?.getTime() ?? now;
  recordSpending(
    state,
    entry.seq,
    countedAt,
    mergeParts([...ofGrants, ...ofOverage, ...owed]),
    uses,
    {
      ...before,
      shares: sharesOfSpending(priced, committed, false),
    },
  );
  state.reservations.set(before.reservationId, reservation);
  reportBudgets(state, jobOf(before), change);
  return {
    reservation: reservationOf(state.accountId, reservation),
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    committed,
    split: toAllocations(inBurnOrder(state, used)),
    lines: lines as PricedUsage[],
  };
}

function afterCommit(
  before: ReservationState,
  priced: Priced,
  { fromHeld, fromAvailable, rest }: CommitTaken,
  isFinal: boolean,
  isLate: boolean,
  now: number,
): ReservationState {
  const committed = totalOf(fromHeld) + totalOf(fromAvailable);
  const late = before.returned > committed ? before.returned - committed : 0n;
  const reservation = {
    ...before,
    committed: before.committed + committed,
    returned: isLate ? late : before.returned + (isFinal ? totalOf(rest) : 0n),
    held: isFinal || isLate ? [] : rest,
    lapsed: isLate ? lessTaken(before.lapsed, fromAvailable) : [],
    late: before.late || isLate,
    wasCommitted: true,
    heldFor: before.heldFor && stillNeeded(before.heldFor, needsOf(priced.lines)),
  };
  if (!isFinal) return reservation;
  return {
    ...reservation,
    state: Reservation_State.COMMITTED,
    endedAt: now,
    asked: priced,
    lapsed: [],
    heldFor: null,
  };
}

type CommitTaken = {
  readonly fromHeld: readonly Part[];
  readonly fromAvailable: readonly Part[];
  readonly rest: readonly Part[];
};

function lessTaken(parts: readonly Part[], taken: readonly Part[]): readonly Part[] {
  const byGrant = new Map(taken.map(({ grantId, credits }) => [grantId, credits]));
  return parts.flatMap(({ grantId, credits }) => {
    const left = credits - (byGrant.get(grantId) ?? 0n);
    return left > 0n ? [{ grantId, credits: left }] : [];
  });
}

/** A commit of a committed reservation succeeds if it asks for what was done. */
function commitAgain(
  state: AccountState,
  request: RequestOf<'commit'>,
  reservation: ReservationState,
  isFinal: boolean,
  now: number,
): First<'commit'> | Refusal {
  if (!isFinal) return ended(reservation);
  if (request.all) {
    if (reservation.returned > 0n) return ended(reservation);
  } else {
    const priced = amountOf(request);
    if (priced instanceof Refusal) return priced;
    const { asked } = reservation;
    const isSame =
      asked && priced.lines.length > 0
        ? sameLines(asked.lines, priced.lines)
        : asked?.lines.length === 0 && asked.credits === priced.credits;
    const isSum = priced.lines.length === 0 && priced.credits === reservation.committed;
    if (!isSame && !isSum) return ended(reservation);
  }
  return {
    reservation: reservationOf(state.accountId, reservation),
    balance: balanceOf(state, now),
    entrySeq: 0n,
    committed: 0n,
    split: [],
    lines: [],
  };
}

const sameLines = (a: readonly PricedUsage[], b: readonly PricedUsage[]): boolean => {
  const textOf = (lines: readonly PricedUsage[]) =>
    lines
      .map(({ usage, credits }) =>
        [usage?.operation, ...[...(usage?.quantities ?? [])].flat(), usage?.count, credits].join(),
      )
      .join(';');
  return textOf(a) === textOf(b);
};
