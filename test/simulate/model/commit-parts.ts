/** Where the credits of a commit come from. */
import { OverCommitPolicy } from '../../../src/gen/billing/v1/ledger.ts';
import type { Deciding } from './deciding.ts';
import { Funding, fund, fundOwing, insufficient, withOwed } from './funding.ts';
import { needsOf, type Priced } from './prices.ts';
import { Refusal } from './refusal.ts';
import {
  type AccountState,
  mergeParts,
  type Need,
  OVERAGE,
  OWED,
  type Part,
  type ReservationState,
  spendable,
  sum,
  totalOf,
} from './state.ts';

type Parts = {
  readonly fromHeld: readonly Part[];
  readonly fromAvailable: readonly Part[];
  /** Held overage that grants pay for instead. */
  readonly spared: readonly Part[];
  /** Held and not used. */
  readonly rest: readonly Part[];
};

const drawsBeyond = (policy: OverCommitPolicy): boolean =>
  policy === OverCommitPolicy.DRAW || policy === OverCommitPolicy.TAKE;

/** Applies the policy to what is asked for. */
function byPolicy(
  { policy, reservationId }: ReservationState,
  asked: bigint,
  allowed: bigint,
): bigint | Refusal {
  if (asked <= allowed || drawsBeyond(policy)) return asked;
  if (policy === OverCommitPolicy.CAP) return allowed;
  return new Refusal('EXCEEDS_RESERVATION', { asked, allowed, reservation_id: reservationId });
}

/** Grants for few operations first; overage and general grants last. */
function mostLimitedFirst(state: AccountState, parts: readonly Part[]): readonly Part[] {
  const width = ({ grantId }: Part) =>
    (grantId === OVERAGE ? 0 : state.grant(grantId).operations.length) || Number.MAX_SAFE_INTEGER;
  return parts.toSorted((a, b) => width(a) - width(b));
}

/** The parts of `held` that a commit uses, as it is taken of each grant, and the rest. */
function divide(held: readonly Part[], used: readonly Part[]) {
  const byGrant = new Map(used.map(({ grantId, credits }) => [grantId, credits]));
  const fromHeld: Part[] = [];
  const rest: Part[] = [];
  for (const { grantId, credits } of held) {
    const here = byGrant.get(grantId) ?? 0n;
    if (here > credits) throw new Error(`more than is held of grant ${grantId}`);
    if (here > 0n) fromHeld.push({ grantId, credits: here });
    if (credits > here) rest.push({ grantId, credits: credits - here });
  }
  return { fromHeld, rest };
}

/** The parts of a commit of an active reservation. */
export function commitParts(
  state: AccountState,
  reservation: ReservationState,
  priced: Priced,
  isFinal: boolean,
  { now, takenOfHeld }: Deciding,
): Parts | Refusal {
  const { held } = reservation;
  const { lines } = priced;
  const order = isFinal ? held : mostLimitedFirst(state, held);
  // An amount without usages may use all that is held, whatever it is limited to.
  if (lines.length === 0) {
    const whole = totalOf(held);
    const credits = byPolicy(reservation, priced.credits, whole);
    if (credits instanceof Refusal) return credits;
    const beyond = credits > whole ? credits - whole : 0n;
    const pay = reservation.policy === OverCommitPolicy.TAKE ? fundOwing : fund;
    const fromAvailable = pay(state, [{ operation: null, credits: beyond }], now);
    if (fromAvailable instanceof Refusal) return fromAvailable;
    const divided = divide(held, takeFirst(order, credits - beyond));
    return spareOverage(state, priced, { ...divided, fromAvailable }, now);
  }
  const needs = needsOf(lines);
  const funding = new Funding(state, needs);
  const used = order.map(({ grantId, credits }) => ({
    grantId,
    credits: funding.pay(grantId, credits),
  }));
  const payable = funding.paid;
  const credits = byPolicy(reservation, priced.credits, payable);
  if (credits instanceof Refusal) return credits;
  let fromAvailable: readonly Part[] = [];
  if (credits > payable) {
    const required = funding.missing;
    fromAvailable = funding.payFromAvailable(now);
    if (reservation.policy === OverCommitPolicy.TAKE)
      fromAvailable = withOwed(fromAvailable, funding.missing);
    else if (funding.missing > 0n) return insufficient(state, required, funding.missing);
  }
  let divided = divide(held, used);
  if (!isFinal && reservation.heldFor !== null && takenOfHeld !== null) {
    divided = divide(held, takenOfHeld);
    checkTaken(state, reservation, needs, used, { ...divided, fromAvailable });
  }
  return spareOverage(state, priced, { ...divided, fromAvailable }, now);
}

/**
 * Which of several grants a partial commit takes is free. It takes as much in total and as much overage as if
 * it took the most limited first, every credit pays for an operation that its grant may pay for, and what
 * stays held can pay as much of the rest as is possible.
 */
function checkTaken(
  state: AccountState,
  { held, heldFor }: ReservationState,
  needs: readonly Need[],
  used: readonly Part[],
  { fromHeld, fromAvailable, rest }: Omit<Parts, 'spared'>,
) {
  if (totalOf(fromHeld) !== totalOf(used))
    throw new Error('a partial commit takes another amount of what is held');
  if (overageOf(fromHeld) !== overageOf(used))
    throw new Error('a partial commit takes another amount of held overage');
  const paying = [...fromHeld, ...fromAvailable];
  if (payableOf(state, paying, needs) !== totalOf(paying.filter(({ grantId }) => grantId !== OWED)))
    throw new Error('a partial commit takes credits that cannot pay for its usages');
  // If what is held does not suffice, it is open which usages it pays, and so what is left for others.
  if (totalOf(used) < sum(needs, ({ credits }) => credits)) return;
  const later = stillNeeded(heldFor ?? [], needs);
  const most = payableOf(state, held, [...needs, ...later]) - totalOf(used);
  if (payableOf(state, rest, later) < most)
    throw new Error('a partial commit takes credits that the rest of its reservation needs');
}

const overageOf = (parts: readonly Part[]): bigint =>
  totalOf(parts.filter(({ grantId }) => grantId === OVERAGE));

/** How much of the needs these parts can pay together. */
function payableOf(state: AccountState, parts: readonly Part[], needs: readonly Need[]): bigint {
  const byOperation = Map.groupBy(needs, ({ operation }) => operation);
  const funding = new Funding(
    state,
    [...byOperation].map(([operation, same]) => ({
      operation,
      credits: sum(same, ({ credits }) => credits),
    })),
  );
  for (const { grantId, credits } of parts) if (grantId !== OWED) funding.pay(grantId, credits);
  return funding.paid;
}

/** What is left of needs after some of them were paid. */
export function stillNeeded(needs: readonly Need[], done: readonly Need[]): readonly Need[] {
  const left = new Map(done.map(({ operation, credits }) => [operation, credits]));
  return needs.flatMap(({ operation, credits }) => {
    const here = left.get(operation) ?? 0n;
    left.set(operation, here > credits ? here - credits : 0n);
    return credits > here ? [{ operation, credits: credits - here }] : [];
  });
}

function takeFirst(parts: readonly Part[], credits: bigint): readonly Part[] {
  let missing = credits;
  return parts.map(({ grantId, credits: here }) => {
    const taken = here < missing ? here : missing;
    missing -= taken;
    return { grantId, credits: taken };
  });
}

/** The parts of a late commit; 'gone' if what it needs is not available any more. */
export function lateParts(
  state: AccountState,
  { lapsed, heldFor, returned, ...reservation }: ReservationState,
  priced: Priced,
  now: number,
): Parts | Refusal | 'gone' {
  const credits = byPolicy({ ...reservation, lapsed, heldFor, returned }, priced.credits, returned);
  if (credits instanceof Refusal) return credits;
  const needs =
    priced.lines.length > 0
      ? needsOf(priced.lines)
      : [...(heldFor ?? []), { operation: null, credits }];
  const funding = new Funding(state, needs, credits);
  const fromAvailable = funding.payFromAvailable(now, lapsed);
  const { missing } = funding;
  if (missing > 0n && reservation.policy !== OverCommitPolicy.TAKE) return 'gone';
  return { fromHeld: [], fromAvailable: withOwed(fromAvailable, missing), spared: [], rest: [] };
}

/** Overage is the last resort: what became available since pays in its place. */
function spareOverage(
  state: AccountState,
  { lines }: Priced,
  { fromHeld, fromAvailable, rest }: Omit<Parts, 'spared'>,
  now: number,
): Parts {
  const overage = overageOf(fromHeld);
  if (overage === 0n) return { fromHeld, fromAvailable, rest, spared: [] };
  const paid = [...fromHeld, ...fromAvailable];
  const funding =
    lines.length === 0
      ? new Funding(state, [{ operation: null, credits: overage }])
      : new Funding(state, needsOf(lines), totalOf(paid));
  if (lines.length > 0)
    for (const { grantId, credits } of paid) if (grantId > OVERAGE) funding.pay(grantId, credits);
  const taken = new Map(fromAvailable.map(({ grantId, credits }) => [grantId, credits]));
  const instead: Part[] = [];
  let missing = overage;
  for (const grant of state.burnOrder) {
    const available = spendable(grant, now) - (taken.get(grant.grantId) ?? 0n);
    const credits = funding.pay(grant.grantId, available < missing ? available : missing);
    if (credits > 0n) instead.push({ grantId: grant.grantId, credits });
    missing -= credits;
  }
  const spared = overage - missing;
  if (spared === 0n) return { fromHeld, fromAvailable, rest, spared: [] };
  return {
    fromHeld: fromHeld.flatMap((part) => {
      if (part.grantId !== OVERAGE) return [part];
      return missing > 0n ? [{ grantId: OVERAGE, credits: missing }] : [];
    }),
    fromAvailable: mergeParts([...fromAvailable, ...instead]),
    rest,
    spared: [{ grantId: OVERAGE, credits: spared }],
  };
}
