/**
 * What the entries of one account say of its roll-forward sums, independently of src/roll-forward: every move counts
 * in the month of its entry, under the plan that the entry names, and is worth what it changes of its grant's worth.
 */
import type { BucketKind, Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Movement } from '../store/tables/roll-forward.ts';
import { instant } from './instant.ts';

/** What was paid for a grant, in the smallest unit of the currency. */
export type Paid = { readonly currency: string; readonly price: bigint };

export type Sum = { credits: bigint; amount: bigint };

type SumKey = {
  readonly month: string;
  readonly planId: string;
  readonly category: string;
  readonly currency: string;
  readonly movement: string;
};

/** Two rows of an account never have the same. */
export const keyOf = ({ month, planId, category, currency, movement }: SumKey): string =>
  [month, planId, category, currency || 'no price', movement].join(' ');

const isUnspent = (bucket: BucketKind): boolean => bucket === 'available' || bucket === 'reserved';

export class RollForwardReplay {
  readonly sums = new Map<string, Sum>();
  readonly #grants: ReadonlyMap<bigint, Grant>;
  readonly #paid: ReadonlyMap<bigint, Paid>;
  readonly #remaining = new Map<bigint, bigint>();
  planId = '';

  constructor(grants: ReadonlyMap<bigint, Grant>, paid: ReadonlyMap<bigint, Paid>) {
    this.#grants = grants;
    this.#paid = paid;
  }

  /** Unspent credits by grant, without those that have none. */
  get remaining(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#remaining].map(([grantId, credits]) => [grantId, `${credits}`]),
    );
  }

  apply(entry: Entry) {
    if (entry.seq === 1n) this.planId = entry.planId;
    for (const move of entry.moves) if (move.grantId !== 0n) this.#move(entry, move);
    if (entry.kind === 'PLAN_CHANGE') this.#changePlan(entry);
  }

  #changePlan(entry: Entry) {
    for (const [grantId, credits] of this.#remaining) {
      const amount = this.#worth(grantId, credits);
      this.#add(entry, this.planId, grantId, 'MOVED', -credits, -amount);
      this.#add(entry, entry.planId, grantId, 'MOVED', credits, amount);
    }
    this.planId = entry.planId;
  }

  #move(entry: Entry, move: Move) {
    const { from, to, grantId, credits } = move;
    const before = this.#remaining.get(grantId) ?? 0n;
    if (isUnspent(from) && isUnspent(to)) return;
    if (isUnspent(from)) {
      const amount = this.#worth(grantId, before) - this.#worth(grantId, before - credits);
      this.#set(grantId, before - credits);
      this.#add(entry, entry.planId, grantId, lossBy(to), credits, amount);
      this.#moveToPlan(entry, grantId, credits, amount);
      return;
    }
    const amount = this.#worth(grantId, before + credits) - this.#worth(grantId, before);
    if (isUnspent(to)) {
      this.#set(grantId, before + credits);
      this.#add(entry, entry.planId, grantId, this.#gainBy(entry, from, grantId), credits, amount);
      this.#moveToPlan(entry, grantId, -credits, -amount);
      return;
    }
    // What comes back too late for its grant is gained and lost at once. Of an import it was never there.
    const isLate = from === 'consumed' ? to !== 'issued' : entry.kind === 'REINSTATE';
    if (!isLate) return;
    this.#add(entry, entry.planId, grantId, this.#gainBy(entry, from, grantId), credits, amount);
    this.#add(entry, entry.planId, grantId, lossBy(to), credits, amount);
  }

  /** So many credits of the account's plan are used by a job of the plan that the entry names. */
  #moveToPlan(entry: Entry, grantId: bigint, credits: bigint, amount: bigint) {
    if (entry.planId === this.planId) return;
    this.#add(entry, entry.planId, grantId, 'MOVED', credits, amount);
    this.#add(entry, this.planId, grantId, 'MOVED', -credits, -amount);
  }

  #gainBy({ kind }: Entry, from: BucketKind, grantId: bigint): Movement {
    if (from === 'consumed') return 'REFUNDED';
    if (from !== 'issued' || kind === 'REINSTATE') return 'CORRECTED';
    return this.#grants.get(grantId)?.source === 'REFUND' ? 'REFUNDED' : 'ISSUED';
  }

  /** Halves up. */
  #worth(grantId: bigint, credits: bigint): bigint {
    const paid = this.#paid.get(grantId);
    const amount = this.#grants.get(grantId)?.amount ?? 0n;
    return paid && amount > 0n ? (2n * paid.price * credits + amount) / (2n * amount) : 0n;
  }

  #set(grantId: bigint, credits: bigint) {
    if (credits === 0n) this.#remaining.delete(grantId);
    else this.#remaining.set(grantId, credits);
  }

  #add(
    { at }: Entry,
    planId: string,
    grantId: bigint,
    movement: Movement,
    credits: bigint,
    amount: bigint,
  ) {
    const key = keyOf({
      month: instant(at).slice(0, 7),
      planId,
      category: this.#grants.get(grantId)?.category ?? '',
      currency: this.#paid.get(grantId)?.currency ?? '',
      movement,
    });
    const sum = this.sums.get(key) ?? { credits: 0n, amount: 0n };
    sum.credits += credits;
    sum.amount += amount;
    this.sums.set(key, sum);
  }
}

function lossBy(to: BucketKind): Movement {
  if (to === 'expired') return 'EXPIRED';
  if (to === 'voided') return 'VOIDED';
  return to === 'issued' ? 'CLAWED_BACK' : 'SPENT';
}
