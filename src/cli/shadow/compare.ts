/** Compares what another system charged with what would have been charged here. Nothing here reads or writes. */
import type { ShadowCharge } from './shadow-charges.ts';

/** A charge of the other system. A refund has fewer than 0 credits. */
export type OldCharge = {
  readonly accountId: string;
  /** Its request id or reference; empty: it has none. */
  readonly id: string;
  /** Empty: not known. */
  readonly operation: string;
  readonly credits: bigint;
  readonly at: number;
};

/** What is compared: charges of one id, or all of an account and a UTC day. */
export type ComparedBy = 'id' | 'day';

export type Sums = {
  oldCharges: number;
  oldCredits: bigint;
  charges: number;
  /** What it costs here, also where it would have been refused. */
  credits: bigint;
  /** The part of it that would have been refused. */
  refused: bigint;
};

export type Difference = {
  readonly accountId: string;
  /** The id; by day such as "2026-11-30". */
  readonly key: string;
  readonly operation: string;
  /** Null: the other system has charged nothing. */
  readonly oldCredits: bigint | null;
  /** Null: nothing was decided here. */
  readonly credits: bigint | null;
  /** Empty: it would have been allowed. */
  readonly refusedBecause: string;
};

export type Comparison = {
  readonly operations: ReadonlyMap<string, Sums>;
  readonly accounts: ReadonlyMap<string, Sums>;
  readonly total: Sums;
  /** How many would have been refused, by reason. */
  readonly refusals: ReadonlyMap<string, number>;
  /** How many are the same on both sides, and would have been allowed. */
  readonly same: number;
  /** In the order of accounts and keys. */
  readonly differences: readonly Difference[];
};

type Compared = {
  readonly accountId: string;
  readonly key: string;
  readonly operations: Set<string>;
  oldCredits: bigint | null;
  credits: bigint | null;
  refusedBecause: string;
};

const noSums = (): Sums => ({
  oldCharges: 0,
  oldCredits: 0n,
  charges: 0,
  credits: 0n,
  refused: 0n,
});

export class Comparing {
  readonly #by: ComparedBy;
  readonly #compared = new Map<string, Compared>();
  readonly #operations = new Map<string, Sums>();
  readonly #accounts = new Map<string, Sums>();
  readonly #total = noSums();
  readonly #refusals = new Map<string, number>();

  constructor(by: ComparedBy) {
    this.#by = by;
  }

  /** All charges of the other system are added first. */
  addOld({ accountId, id, operation, credits, at }: OldCharge) {
    const key = this.#by === 'day' ? dayOf(at) : id;
    const compared = this.#at(accountId, key);
    compared.oldCredits = (compared.oldCredits ?? 0n) + credits;
    if (operation) compared.operations.add(operation);
    for (const sums of this.#sumsOf(accountId, operation)) {
      sums.oldCharges += 1;
      sums.oldCredits += credits;
    }
  }

  add(charge: ShadowCharge) {
    const { accountId, credits, refusedBecause, operations } = charge;
    const compared = this.#at(accountId, this.#keyOf(charge));
    compared.credits = (compared.credits ?? 0n) + credits;
    if (refusedBecause) compared.refusedBecause = refusedBecause;
    for (const operation of operations.keys()) compared.operations.add(operation);
    if (refusedBecause)
      this.#refusals.set(refusedBecause, (this.#refusals.get(refusedBecause) ?? 0) + 1);
    for (const sums of [this.#total, sumsAt(this.#accounts, accountId)])
      addTo(sums, credits, refusedBecause);
    const parts = operations.size > 0 ? operations : new Map([['', credits]]);
    for (const [operation, part] of parts)
      addTo(sumsAt(this.#operations, operation), part, refusedBecause);
  }

  finish(): Comparison {
    const compared = [...this.#compared.values()];
    const differences = compared.filter((one) => !isSame(one)).sort(inOrder);
    return {
      operations: this.#operations,
      accounts: this.#accounts,
      total: this.#total,
      refusals: this.#refusals,
      same: compared.length - differences.length,
      differences: differences.map(({ operations, ...one }) => ({
        ...one,
        operation: [...operations].sort().join(', '),
      })),
    };
  }

  /** The id by which the other system knows it, if it does. */
  #keyOf({ accountId, ids, at }: ShadowCharge): string {
    if (this.#by === 'day') return dayOf(at);
    return ids.find((id) => this.#compared.has(nameOf(accountId, id))) ?? ids[0] ?? '';
  }

  #at(accountId: string, key: string): Compared {
    const name = nameOf(accountId, key);
    const known = this.#compared.get(name);
    if (known) return known;
    const compared = {
      accountId,
      key,
      operations: new Set<string>(),
      oldCredits: null,
      credits: null,
      refusedBecause: '',
    };
    this.#compared.set(name, compared);
    return compared;
  }

  #sumsOf(accountId: string, operation: string): readonly Sums[] {
    return [this.#total, sumsAt(this.#accounts, accountId), sumsAt(this.#operations, operation)];
  }
}

const nameOf = (accountId: string, key: string): string => `${accountId}\n${key}`;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Nothing on one side is the same as 0 credits on the other. */
const isSame = ({ oldCredits, credits, refusedBecause }: Compared): boolean =>
  refusedBecause === '' && (oldCredits ?? 0n) === (credits ?? 0n);

function sumsAt(all: Map<string, Sums>, name: string): Sums {
  const known = all.get(name) ?? noSums();
  all.set(name, known);
  return known;
}

function addTo(sums: Sums, credits: bigint, refusedBecause: string) {
  sums.charges += 1;
  sums.credits += credits;
  if (refusedBecause) sums.refused += credits;
}

function inOrder(a: Compared, b: Compared): number {
  if (a.accountId !== b.accountId) return a.accountId < b.accountId ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}
