/** Reserve and Charge, as the contract describes them. */
import {
  Entry_Kind,
  OverCommitPolicy,
  Reservation_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import { overBudget, reportBudgets } from './budgets.ts';
import { type Deciding, refusalOfNew } from './deciding.ts';
import { namesOf } from './due.ts';
import { fund, grantsFor } from './funding.ts';
import { fundLate, refusalOfLate, reinstate } from './late.ts';
import { balanceOf, floorOf, reservationOf } from './messages.ts';
import { needsOf, type Priced } from './prices.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { sharesOfSpending } from './shares.ts';
import { type AccountState, type ReservationState, toAllocations } from './state.ts';
import { ownUses } from './uses.ts';
import { amountOf, changeOf, isLimited, millisOf, recordSpending, take, toNeeds } from './work.ts';

const invalid = new Refusal('INVALID_FIELD');

const SHEDDABLE = 2;
const RATE_CARD_VERSION = 1n;

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

/** What both begin with: why it is refused, or what it costs and takes. */
function begin(
  state: AccountState,
  request: RequestOf<'reserve'> | RequestOf<'charge'>,
  now: number,
  { holds }: { readonly holds: boolean },
) {
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
    ? fundLate(state, needs, usedAt.getTime(), now, { holds })
    : fund(state, needs, now);
  if (parts instanceof Refusal) return parts;
  if (usedAt) reinstate(state, parts, usedAt, now);
  return { priced, job, change, parts };
}

export function reserve(
  state: AccountState,
  request: RequestOf<'reserve'>,
  { now, author, reservationId }: Deciding,
): First<'reserve'> | Refusal {
  const unwanted = refusalOfNew(state);
  if (unwanted) return unwanted;
  const ttl = request.ttl ? millisOf(request.ttl) : state.plan.ttlMs;
  if (ttl > state.plan.maxTtlMs) return invalid;
  const begun = begin(state, request, now, { holds: true });
  if (begun instanceof Refusal) return begun;
  const { priced, job, change, parts: held } = begun;
  const { usedAt } = request;
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
  const begun = begin(state, request, now, { holds: false });
  if (begun instanceof Refusal) return begun;
  const { priced, job, change, parts } = begun;
  const { usedAt } = request;
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
