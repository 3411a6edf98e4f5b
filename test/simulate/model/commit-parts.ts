/** Where the credits of a commit come from. */
import { OverCommitPolicy } from '../../../src/gen/billing/v1/ledger.ts';
import { Funding, fund, insufficient } from './funding.ts';
import { needsOf, type Priced } from './prices.ts';
import { Refusal } from './refusal.ts';
import type { Deciding } from './spend.ts';
import {
  type AccountState,
  mergeParts,
  OVERAGE,
  type Part,
  type ReservationState,
  spendable,
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

/** Applies the policy to what is asked for. */
function byPolicy(
  { policy, reservationId }: ReservationState,
  asked: bigint,
  allowed: bigint,
): bigint | Refusal {
  if (asked <= allowed || policy === OverCommitPolicy.DRAW) return asked;
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
  { now, split }: Deciding,
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
    const fromAvailable = fund(state, [{ operation: null, credits: beyond }], now);
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
    if (funding.missing > 0n) return insufficient(state, required, funding.missing);
  }
  // Which of several limited grants a partial commit uses is free, as long as they suffice.
  const isFree = !isFinal && reservation.heldFor !== null && split !== null;
  const taken = isFree ? lessAvailable(split, fromAvailable, held) : used;
  if (isFree && totalOf(taken) !== totalOf(used))
    throw new Error('a partial commit takes another amount of what is held');
  return spareOverage(state, priced, { ...divide(held, taken), fromAvailable }, now);
}

function takeFirst(parts: readonly Part[], credits: bigint): readonly Part[] {
  let missing = credits;
  return parts.map(({ grantId, credits: here }) => {
    const taken = here < missing ? here : missing;
    missing -= taken;
    return { grantId, credits: taken };
  });
}

/** Of a split, what came from the held parts. */
function lessAvailable(
  split: readonly Part[],
  fromAvailable: readonly Part[],
  held: readonly Part[],
): readonly Part[] {
  const others = new Map(fromAvailable.map(({ grantId, credits }) => [grantId, credits]));
  const holds = new Set(held.map(({ grantId }) => grantId));
  return split.flatMap(({ grantId, credits }) => {
    const own = credits - (others.get(grantId) ?? 0n);
    return own > 0n && holds.has(grantId) ? [{ grantId, credits: own }] : [];
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
  if (funding.missing > 0n) return 'gone';
  return { fromHeld: [], fromAvailable, spared: [], rest: [] };
}

/** Overage is the last resort: what became available since pays in its place. */
function spareOverage(
  state: AccountState,
  { lines }: Priced,
  { fromHeld, fromAvailable, rest }: Omit<Parts, 'spared'>,
  now: number,
): Parts {
  const overage = fromHeld.find(({ grantId }) => grantId === OVERAGE)?.credits ?? 0n;
  if (overage === 0n) return { fromHeld, fromAvailable, rest, spared: [] };
  const paid = [...fromHeld, ...fromAvailable];
  const funding =
    lines.length === 0
      ? new Funding(state, [{ operation: null, credits: overage }])
      : new Funding(state, needsOf(lines), totalOf(paid));
  if (lines.length > 0)
    for (const { grantId, credits } of paid) if (grantId !== OVERAGE) funding.pay(grantId, credits);
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
