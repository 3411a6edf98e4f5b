/**
 * Which grants pay. Each payer, in order, pays as much as it can without making an earlier one pay less. How
 * much a set of payers can pay together is the least over all cuts (max-flow min-cut): for any set of needs,
 * those needs plus everything that can pay others. So a payer pays by how much that figure grows.
 */
import { Refusal } from './refusal.ts';
import {
  type AccountState,
  hasExpired,
  mergeParts,
  type Need,
  OVERAGE,
  OWED,
  type Part,
  spendable,
  sum,
} from './state.ts';

type Payer = Part & { readonly operations: readonly string[] };

const canPay = (operations: readonly string[], { operation }: Need): boolean =>
  operations.length === 0 || (operation !== null && operations.includes(operation));

/** What the payers can pay of the needs together, at most `limit`. */
function capacity(payers: readonly Payer[], needs: readonly Need[], limit: bigint): bigint {
  let least = limit;
  for (let subset = 0; subset < 1 << needs.length; subset++) {
    const isIn = (index: number) => (subset & (1 << index)) !== 0;
    const inside = sum(needs.entries(), ([index, { credits }]) => (isIn(index) ? credits : 0n));
    const outside = needs.filter((_, index) => !isIn(index));
    const others = sum(payers, ({ operations, credits }) =>
      outside.some((need) => canPay(operations, need)) ? credits : 0n,
    );
    if (inside + others < least) least = inside + others;
  }
  return least;
}

/** Assigns payers one after the other. */
export class Funding {
  readonly #state: AccountState;
  readonly #needs: readonly Need[];
  readonly #limit: bigint;
  readonly #payers: Payer[] = [];
  paid = 0n;

  constructor(state: AccountState, needs: readonly Need[], limit?: bigint) {
    this.#state = state;
    this.#needs = needs;
    const total = sum(needs, ({ credits }) => credits);
    this.#limit = limit === undefined || limit > total ? total : limit;
  }

  get missing(): bigint {
    return this.#limit - this.paid;
  }

  /** Has a grant, or overage, pay as much as possible of at most `credits`. Returns how much. */
  pay(grantId: bigint, credits: bigint): bigint {
    if (credits <= 0n || this.missing === 0n) return 0n;
    const operations = grantId === OVERAGE ? [] : this.#state.grant(grantId).operations;
    this.#payers.push({ grantId, credits, operations });
    const after = capacity(this.#payers, this.#needs, this.#limit);
    const added = after - this.paid;
    this.paid = after;
    return added;
  }

  /** Has what is available pay: `preferred` first, then every grant in burn order, then overage. */
  payFromAvailable(
    now: number,
    preferred: readonly Part[] = [],
    room = overageRoom(this.#state, now),
  ): readonly Part[] {
    const parts: Part[] = [];
    const taken = new Map<bigint, bigint>();
    const pay = (grantId: bigint, available: bigint) => {
      const credits = this.pay(grantId, available);
      if (credits === 0n) return;
      parts.push({ grantId, credits });
      taken.set(grantId, (taken.get(grantId) ?? 0n) + credits);
    };
    for (const { grantId, credits } of preferred) {
      if (grantId === OVERAGE) continue;
      const available = spendable(this.#state.grant(grantId), now);
      pay(grantId, credits < available ? credits : available);
    }
    for (const grant of this.#state.burnOrder)
      pay(grant.grantId, spendable(grant, now) - (taken.get(grant.grantId) ?? 0n));
    pay(OVERAGE, room);
    return mergeParts(parts);
  }
}

/** Overage that the plan still allows in the month of an instant. */
export function overageRoom(state: AccountState, now: number): bigint {
  const limit = BigInt(state.plan.overage?.limit ?? 0);
  const room = limit - state.overageOf(now) - state.overageReserved;
  return room > 0n ? room : 0n;
}

/** What is available for these operations: of every grant that may pay for one of them, or is not limited. */
export const grantsFor = (
  state: AccountState,
  operations: readonly string[],
  now: number,
): bigint =>
  sum(state.grants.values(), (grant) =>
    grant.operations.length === 0 || grant.operations.some((name) => operations.includes(name))
      ? spendable(grant, now)
      : 0n,
  );

/** Where needs are paid from, or the refusal that says how much is missing. */
export function fund(
  state: AccountState,
  needs: readonly Need[],
  now: number,
  room?: bigint,
): readonly Part[] | Refusal {
  const funding = new Funding(state, needs);
  const required = funding.missing;
  const parts = funding.payFromAvailable(now, [], room);
  return funding.missing > 0n ? insufficient(state, required, funding.missing) : parts;
}

/** The same as far as it goes: what is missing is owed. */
export function fundOwing(
  state: AccountState,
  needs: readonly Need[],
  now: number,
): readonly Part[] {
  const funding = new Funding(state, needs);
  return withOwed(funding.payFromAvailable(now), funding.missing);
}

export const withOwed = (parts: readonly Part[], missing: bigint): readonly Part[] =>
  missing > 0n ? [...parts, { grantId: OWED, credits: missing }] : parts;

export function insufficient(state: AccountState, required: bigint, shortfall: bigint): Refusal {
  const reason = state.plan.overage ? 'OVERAGE_LIMIT_REACHED' : 'INSUFFICIENT_CREDITS';
  return new Refusal(reason, { required, available: required - shortfall, shortfall });
}

/** Moves that give held credits back; those of an expired grant become breakage, and some are voided. */
export function returnMoves(state: AccountState, parts: readonly Part[], now: number) {
  const isLost = ({ grantId }: Part) =>
    grantId !== OVERAGE && hasExpired(state.grant(grantId), now);
  const { voided, rest } = voidedOf(state, parts);
  return [
    ...rest
      .filter((part) => !isLost(part))
      .map((part) => ({ ...part, from: heldOf(part), to: freeOf(part) })),
    ...rest
      .filter(isLost)
      .map((part) => ({ ...part, from: 'reserved' as const, to: 'expired' as const })),
    ...voided.map((part) => ({ ...part, from: 'reserved' as const, to: 'voided' as const })),
  ];
}

/** Of credits that come back, those that are voided. Each grant has one part. */
export function voidedOf(state: AccountState, parts: readonly Part[]) {
  const voided = parts.flatMap(({ grantId, credits }) => {
    const toVoid = grantId <= OVERAGE ? 0n : state.grant(grantId).toVoid;
    const here = toVoid < credits ? toVoid : credits;
    return here > 0n ? [{ grantId, credits: here }] : [];
  });
  const taken = new Map(voided.map(({ grantId, credits }) => [grantId, credits]));
  const rest = parts.flatMap(({ grantId, credits }) => {
    const left = credits - (taken.get(grantId) ?? 0n);
    return left > 0n ? [{ grantId, credits: left }] : [];
  });
  return { voided, rest };
}

export const heldOf = ({ grantId }: Part) =>
  grantId === OVERAGE ? ('overage_reserved' as const) : ('reserved' as const);
export function freeOf({ grantId }: Part) {
  if (grantId === OWED) return 'owed' as const;
  return grantId === OVERAGE ? ('overage' as const) : ('available' as const);
}
/** The grant that a move of the part names. */
export const ofGrant = <SomePart extends Part>(part: SomePart): SomePart =>
  part.grantId === OWED ? { ...part, grantId: OVERAGE } : part;
