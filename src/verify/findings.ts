/** What an audit found. */

/** The books of an account and its entries say different things. */
export type Discrepancy = {
  readonly accountId: string;
  /** The place and both sides, e.g. "entry 7: remaining_after is 12, the moves say 13". */
  readonly what: string;
};

/** One wrong entry can make every later one wrong: so many are kept of an account at most. */
const PER_ACCOUNT_MAX = 100;

export class Findings {
  readonly #byAccount = new Map<string, string[]>();

  add(accountId: string, what: string) {
    const found = this.#byAccount.get(accountId);
    if (!found) this.#byAccount.set(accountId, [what]);
    else if (found.length < PER_ACCOUNT_MAX) found.push(what);
  }

  /** All, by account in this order; accounts that it does not name come last. */
  list(accountIds: Iterable<string>): Discrepancy[] {
    const inOrder = new Set([...accountIds, ...this.#byAccount.keys()]);
    return [...inOrder].flatMap((accountId) =>
      (this.#byAccount.get(accountId) ?? []).map((what) => ({ accountId, what })),
    );
  }
}
