/** Reserve, raise, extend, commit, release, charge and refund, as the contract describes them. */
import {
  Entry_Kind,
  Grant_Source,
  OverCommitPolicy,
  Reservation_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage, Usages } from '../../../src/gen/billing/v1/pricing.ts';
import { overBudget, reportBudgets } from './budgets.ts';
import { commitParts, lateParts, stillNeeded } from './commit-parts.ts';
import { addGrant, grantPaidOwed, namesOf } from './due.ts';
import { freeOf, fund, grantsFor, heldOf, ofGrant, returnMoves, voidedOf } from './funding.ts';
import { committedAt, fundLate, raiseRoom, refusalOfLate, reinstate } from './late.ts';
import { balanceOf, floorOf, grantOf, reservationOf } from './messages.ts';
import { needsOf, type Priced, priceOf } from './prices.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import {
  added as addedShares,
  afterSpending,
  shareChange,
  sharesOf,
  sharesOfCommit,
  sharesOfSpending,
} from './shares.ts';
import {
  type AccountState,
  type Author,
  cut,
  hasExpired,
  isActive,
  mergeParts,
  type Need,
  OVERAGE,
  OWED,
  type Part,
  type ReservationState,
  type Spending,
  toAllocations,
  totalOf,
  type Use,
} from './state.ts';
import { ownUses, reservedUses } from './uses.ts';

/** When a command is decided, for whom, and the ids that the service chose. */
export type Deciding = {
  readonly now: number;
  /** When everything was loaded: at `now` or later. What has a not_after by then is refused. */
  readonly loadedAt: number;
  readonly author: Author;
  readonly reservationId: string;
  readonly purchaseId: string;
  /** What a partial commit took of each grant that it held, where the contract leaves that open. */
  readonly takenOfHeld: readonly Part[] | null;
};

type Amount = { readonly usages?: Usages | undefined; readonly credits?: bigint | undefined };

const SHEDDABLE = 2;
const RATE_CARD_VERSION = 1n;

const amountOf = ({ usages, credits }: Amount): Priced | Refusal =>
  usages ? priceOf(usages) : { credits: credits ?? 0n, lines: [] };

const toNeeds = ({ credits, lines }: Priced): readonly Need[] =>
  lines.length > 0 ? needsOf(lines) : [{ operation: null, credits }];

/** Why new work does not begin; null: it may. */
const refusalOfNew = (state: AccountState): Refusal | null =>
  state.isOpen ? suspended(state) : closed(state);

/** Why running work does not go on; null: it may. */
const refusalOfRunning = (state: AccountState): Refusal | null =>
  state.suspended?.stops ? suspended(state) : null;

const suspended = ({ accountId, suspended: said }: AccountState): Refusal | null =>
  said &&
  new Refusal('ACCOUNT_SUSPENDED', {
    account_id: accountId,
    since: new Date(said.since).toISOString(),
    reason: said.reason,
  });

export const closed = (state: AccountState): Refusal =>
  new Refusal('ACCOUNT_CLOSED', {
    account_id: state.accountId,
    at: new Date(state.closedAt ?? 0).toISOString(),
  });

const invalid = new Refusal('INVALID_FIELD');

/** Why new work is refused; null: it is not. */
function refusalOfWork(
  state: AccountState,
  request: { criticality: number; rateCardVersion?: bigint | undefined },
  priced: Priced | Refusal,
  now: number,
): Refusal | null {
  const version = request.rateCardVersion ?? RATE_CARD_VERSION;
  if (version !== RATE_CARD_VERSION) return new Refusal('RATE_CARD_VERSION_UNKNOWN');
  if (priced instanceof Refusal) return priced;
  const floor = floorOf(state);
  if (request.criticality !== SHEDDABLE || floor === 0n) return null;
  const operations = priced.lines.map(({ usage }) => usage?.operation ?? '');
  const available = grantsFor(state, operations, now) - state.overageReserved;
  return available >= floor ? null : new Refusal('PAUSED_BELOW_FLOOR', { available, floor });
}

export const millisOf = (ttl: { seconds: bigint; nanos: number }): number =>
  Number(ttl.seconds) * 1_000 + Math.floor(ttl.nanos / 1_000_000);

const isLimited = (state: AccountState, { grantId }: Part): boolean =>
  grantId !== OVERAGE && state.grant(grantId).operations.length > 0;

const take = (parts: readonly Part[], to: 'reserved' | 'consumed') =>
  parts.map((part) => ({
    ...part,
    from: freeOf(part),
    to: to === 'reserved' ? heldOf(part) : ('consumed' as const),
  }));

export function reserve(
  state: AccountState,
  request: RequestOf<'reserve'>,
  { now, author, reservationId }: Deciding,
): First<'reserve'> | Refusal {
  const unwanted = refusalOfNew(state);
  if (unwanted) return unwanted;
  const ttl = request.ttl ? millisOf(request.ttl) : state.plan.ttlMs;
  if (ttl > state.plan.maxTtlMs) return invalid;
  const { usedAt } = request;
  const tooLate = refusalOfLate(state, usedAt, now);
  if (tooLate) return tooLate;
  const priced = amountOf(request);
  const refusal = refusalOfWork(state, request, priced, now);
  if (refusal) return refusal;
  if (priced instanceof Refusal) return priced;
  const job = { seq: state.seq + 1n, at: usedAt?.getTime() ?? now, labels: request.labels };
  const change = changeOf(priced);
  const over = overBudget(state, job, change);
  if (over) return over;
  const needs = toNeeds(priced);
  const held = usedAt
    ? fundLate(state, needs, usedAt.getTime(), now, { holds: true })
    : fund(state, needs, now);
  if (held instanceof Refusal) return held;
  if (usedAt) reinstate(state, held, usedAt, now);
  const { credits, lines } = priced;
  const reservation: ReservationState = {
    reservationId,
    seq: state.seq + 1n,
    state: Reservation_State.ACTIVE,
    credits,
    committed: 0n,
    returned: 0n,
    held,
    lapsed: [],
    heldFor: held.some((part) => isLimited(state, part)) ? needsOf(lines) : null,
    expiresAt: now + ttl,
    createdAt: now,
    usedAt: usedAt?.getTime() ?? null,
    endedAt: null,
    asked: null,
    policy: request.overCommitPolicy || OverCommitPolicy.REJECT,
    planId: state.planId,
    rateCardVersion: RATE_CARD_VERSION,
    reference: request.reference,
    labels: request.labels,
    late: false,
    lines,
    wasCommitted: false,
    heldShares: change.shares,
    spentShares: new Map(),
  };
  const entry = state.post(
    Entry_Kind.RESERVE,
    now,
    {
      moves: take(held, 'reserved'),
      credits,
      usages: lines as PricedUsage[],
      expiresAt: new Date(reservation.expiresAt),
      usedAt,
      ...namesOf(reservation),
    },
    author,
  );
  state.reservations.set(reservationId, reservation);
  reportBudgets(state, job, change);
  return {
    reservation: reservationOf(state.accountId, reservation),
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    lines: lines as PricedUsage[],
  };
}

export function charge(
  state: AccountState,
  request: RequestOf<'charge'>,
  { now, author }: Deciding,
): First<'charge'> | Refusal {
  const unwanted = refusalOfNew(state);
  if (unwanted) return unwanted;
  const { usedAt } = request;
  const tooLate = refusalOfLate(state, usedAt, now);
  if (tooLate) return tooLate;
  const priced = amountOf(request);
  const refusal = refusalOfWork(state, request, priced, now);
  if (refusal) return refusal;
  if (priced instanceof Refusal) return priced;
  const job = { seq: state.seq + 1n, at: usedAt?.getTime() ?? now, labels: request.labels };
  const change = changeOf(priced);
  const over = overBudget(state, job, change);
  if (over) return over;
  const needs = toNeeds(priced);
  const parts = usedAt
    ? fundLate(state, needs, usedAt.getTime(), now, { holds: false })
    : fund(state, needs, now);
  if (parts instanceof Refusal) return parts;
  if (usedAt) reinstate(state, parts, usedAt, now);
  const { credits, lines } = priced;
  const { reference, labels } = request;
  const terms = { rateCardVersion: RATE_CARD_VERSION, reference, labels };
  const entry = state.post(
    Entry_Kind.CHARGE,
    now,
    { moves: take(parts, 'consumed'), credits, usages: lines as PricedUsage[], usedAt, ...terms },
    author,
  );
  recordSpending(state, entry.seq, usedAt?.getTime() ?? now, parts, ownUses(lines, credits), {
    ...terms,
    planId: state.planId,
    reservationId: '',
    shares: sharesOfSpending(priced, credits, true),
  });
  reportBudgets(state, job, change);
  return {
    credits,
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    split: toAllocations(parts),
    lines: lines as PricedUsage[],
  };
}

function recordSpending(
  state: AccountState,
  seq: bigint,
  at: number,
  parts: readonly Part[],
  uses: readonly Use[],
  names: Pick<
    Spending,
    'rateCardVersion' | 'reference' | 'labels' | 'planId' | 'reservationId' | 'shares'
  >,
) {
  const { reservationId, planId, rateCardVersion, reference, labels, shares } = names;
  const split = overageLast(parts);
  const terms = { reservationId, planId, rateCardVersion, reference, labels, shares };
  state.spendings.set(seq, { seq, at, split, refunded: 0n, uses, ...terms });
}

const overageLast = (parts: readonly Part[]): readonly Part[] => [
  ...parts.filter(({ grantId }) => grantId > OVERAGE),
  ...parts.filter(({ grantId }) => grantId === OVERAGE),
  ...parts.filter(({ grantId }) => grantId === OWED),
];

/** What is reserved, charged or raised, as budgets count it. */
const changeOf = (priced: Priced) => ({ credits: priced.credits, shares: sharesOf(priced) });

/** As budgets count it. */
const jobOf = ({ seq, createdAt, usedAt, labels }: ReservationState) => ({
  seq,
  at: usedAt ?? createdAt,
  labels,
});

const notFound = (reservationId: string): Refusal =>
  new Refusal('RESERVATION_NOT_FOUND', { reservation_id: reservationId });

/** The refusal that names how the reservation ended. */
function ended(reservation: ReservationState): Refusal {
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
const canEnd = (state: AccountState, reservation: ReservationState, now: number): boolean =>
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

function inBurnOrder(state: AccountState, parts: readonly Part[]): readonly Part[] {
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

export function refund(
  state: AccountState,
  request: RequestOf<'refund'>,
  { now, author }: Deciding,
): First<'refund'> | Refusal {
  const spending = state.spendings.get(request.seq);
  if (!spending) return new Refusal('ENTRY_NOT_FOUND', { seq: request.seq });
  const allowed = totalOf(spending.split) - spending.refunded;
  const credits = request.credits ?? allowed;
  if (credits > allowed || allowed === 0n)
    return new Refusal('EXCEEDS_COMMIT', { asked: credits, allowed, seq: request.seq });
  const backwards = spending.split.toReversed();
  const split = cut(cut(backwards, spending.refunded).rest, credits).first;
  const isLost = ({ grantId }: Part) => grantId > OVERAGE && hasExpired(state.grant(grantId), now);
  const { voided, rest: kept } = voidedOf(state, split);
  const owed = cut(
    kept.filter(({ grantId }) => grantId === OWED),
    state.owed,
  );
  const rest = kept.filter(({ grantId }) => grantId !== OWED);
  const lost = rest.filter(isLost);
  const anew = state.plan.refundExpired === 'new_grant' ? lost : [];
  const reference = request.reference || spending.reference;
  const labels = new Map([...spending.labels, ...request.labels]);
  const entry = state.post(
    Entry_Kind.REFUND,
    now,
    {
      moves: [
        ...rest
          .filter((part) => !isLost(part))
          .map((part) => ({ ...part, from: 'consumed' as const, to: freeOf(part) })),
        ...owed.first.map((part) => ({
          ...ofGrant(part),
          from: 'consumed' as const,
          to: 'owed' as const,
        })),
        ...owed.rest.map((part) => ({
          ...ofGrant(part),
          from: 'consumed' as const,
          to: 'issued' as const,
        })),
        ...lost.map((part) => ({
          ...part,
          from: 'consumed' as const,
          to: anew.length > 0 ? ('issued' as const) : ('expired' as const),
        })),
        ...voided.map((part) => ({ ...part, from: 'consumed' as const, to: 'voided' as const })),
      ],
      credits,
      refundedSeq: spending.seq,
      refundedAt: spending.at,
      reservationId: spending.reservationId,
      planId: spending.planId,
      rateCardVersion: spending.rateCardVersion,
      reference,
      labels,
      details: new Map([['reason', request.reason]]),
    },
    author,
  );
  const paidDebts = owed.rest.map(({ credits: paid }) =>
    grantPaidOwed(state, paid, now, { reference, labels }, author),
  );
  const newGrants = anew.map((part) => {
    const old = state.grant(part.grantId);
    const length = (old.expiresAt ?? now) - old.effectiveAt;
    const { category, priority, operations } = old;
    const grant = {
      ...{ amount: part.credits, category, priority, operations, effectiveAt: now },
      expiresAt: old.expiresAt === null ? null : now + length,
      source: Grant_Source.REFUND,
      sourceReference: `${part.grantId}`,
    };
    return addGrant(state, grant, now, { reference, labels }, author);
  });
  state.refunds = [...state.refunds, { at: now, spending, split }];
  state.spendings.set(spending.seq, { ...spending, refunded: spending.refunded + credits });
  return {
    refunded: credits,
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    split: toAllocations(split),
    expired: totalOf(lost) - totalOf(anew),
    voided: totalOf(voided),
    newGrants: [...paidDebts, ...newGrants]
      .map(({ grantId }) => state.grant(grantId))
      .map((grant) => grantOf(grant, now)),
  };
}
