/**
 * An account and its open grants, as the cache holds them. What nearly every write changes is numbers in
 * an array that is written in place. Objects made by each write would be copied into the old generation
 * and soon be garbage there, which doubles the time of garbage collection.
 */
import type { Account } from '../ledger/account.ts';
import type { BudgetCounters } from '../ledger/budget.ts';
import type { Grant } from '../ledger/grant.ts';

const ACCOUNT_COUNTERS = [
  'version',
  'seq',
  'grantCount',
  'eventCount',
  'remaining',
  'reserved',
  'granted',
  'overage',
  'overageReserved',
  'overageLimit',
] as const satisfies (keyof Account)[];
const GRANT_COUNTERS = ['remaining', 'reserved'] as const satisfies (keyof Grant)[];
/** Fields of an account that `write` sets in place. Any other change needs a new PackedAccount. */
const ACCOUNT_VARIABLES: ReadonlySet<string> = new Set<keyof Account>([
  ...ACCOUNT_COUNTERS,
  'dueAt',
  'lastAt',
  'lastHash',
]);
const GRANT_VARIABLES: ReadonlySet<string> = new Set<keyof Grant>(GRANT_COUNTERS);

export class PackedAccount {
  /** The fields that do not vary, with the others at 0. */
  readonly #account: Account;
  readonly #grants: readonly Grant[];
  readonly #loadedUpTo: Grant | null;
  /** As of the version that was written last. Null for most accounts. */
  budgetCounters: BudgetCounters | null = null;
  /** The counters of the account, then those of each grant. */
  readonly #counters: BigInt64Array;
  readonly #lastHash: Uint8Array;
  /** Infinity stands for null: the field holds a double, which V8 changes in place. */
  #dueAt = Number.POSITIVE_INFINITY;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(account: Account, grants: readonly Grant[], loadedUpTo: Grant | null) {
    // Not the values: a bigint is an object, and the hash is a slice of a pool of 64 KB.
    this.#account = { ...account, ...NO_ACCOUNT_COUNTERS, lastHash: NO_HASH };
    this.#grants = grants.map((grant) => ({ ...grant, ...NO_GRANT_COUNTERS }));
    this.#loadedUpTo = loadedUpTo;
    this.#counters = new BigInt64Array(
      ACCOUNT_COUNTERS.length + GRANT_COUNTERS.length * grants.length,
    );
    this.#lastHash = new Uint8Array(account.lastHash.length);
    this.#setVariables(account, grants);
  }

  /** Whether something happens to the account by itself by `now`. Its own time never runs backwards. */
  isDue(now: number): boolean {
    return this.#dueAt <= Math.max(now, this.#lastAt);
  }

  /** Takes over a later state. Returns false, and changes nothing, if more than the variables differ. */
  write(account: Account, grants: readonly Grant[], loadedUpTo: Grant | null): boolean {
    const isSame =
      loadedUpTo === this.#loadedUpTo &&
      account.lastHash.length === this.#lastHash.length &&
      grants.length === this.#grants.length &&
      agree(account, this.#account, ACCOUNT_VARIABLES) &&
      grants.every((grant, index) => agree(grant, this.#grants[index] as Grant, GRANT_VARIABLES));
    if (isSame) this.#setVariables(account, grants);
    return isSame;
  }

  #setVariables(account: Account, grants: readonly Grant[]) {
    let index = 0;
    for (const field of ACCOUNT_COUNTERS) this.#counters[index++] = account[field];
    for (const grant of grants)
      for (const field of GRANT_COUNTERS) this.#counters[index++] = grant[field];
    this.#lastHash.set(account.lastHash);
    this.#dueAt = account.dueAt ?? Number.POSITIVE_INFINITY;
    this.#lastAt = account.lastAt;
  }

  /** Copies that the caller may change. */
  unpack(): {
    readonly account: Account;
    readonly grants: Grant[];
    readonly loadedUpTo: Grant | null;
    readonly budgetCounters: BudgetCounters | null;
  } {
    let index = 0;
    const account = { ...this.#account };
    for (const field of ACCOUNT_COUNTERS) account[field] = this.#counters[index++] as bigint;
    account.dueAt = this.#dueAt === Number.POSITIVE_INFINITY ? null : this.#dueAt;
    account.lastAt = this.#lastAt;
    account.lastHash = new Uint8Array(this.#lastHash);
    const grants = this.#grants.map((packed) => {
      const grant = { ...packed };
      for (const field of GRANT_COUNTERS) grant[field] = this.#counters[index++] as bigint;
      return grant;
    });
    const { budgetCounters } = this;
    return { account, grants, loadedUpTo: this.#loadedUpTo, budgetCounters };
  }
}

const NO_HASH = new Uint8Array();
const NO_ACCOUNT_COUNTERS = Object.fromEntries(ACCOUNT_COUNTERS.map((field) => [field, 0n]));
const NO_GRANT_COUNTERS = Object.fromEntries(GRANT_COUNTERS.map((field) => [field, 0n]));

/** Whether two objects have the same fields, apart from the variables. */
function agree<Fields extends object>(a: Fields, b: Fields, variables: ReadonlySet<string>) {
  for (const field in a) if (a[field] !== b[field] && !variables.has(field)) return false;
  return true;
}
