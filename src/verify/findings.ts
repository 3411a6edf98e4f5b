/** Collects the discrepancies of an audit. */

/** A stored value that differs from what the entries of its account say, or from what was published. */
export type Discrepancy = {
  /** Null: it is of no account. */
  readonly accountId: string | null;
  /** Where it is and both values, e.g. "entry 7: remaining_after is 12, the moves say 13". */
  readonly what: string;
};

/** Reports a discrepancy of the thing that is being checked. */
export type Report = (what: string) => void;

/** One wrong entry can make every later one wrong; more discrepancies per account are dropped. */
const PER_ACCOUNT_MAX = 100;

export class Findings {
  readonly #byAccount = new Map<string, string[]>();

  add(accountId: string, what: string) {
    const found = this.#byAccount.get(accountId);
    if (!found) this.#byAccount.set(accountId, [what]);
    else if (found.length < PER_ACCOUNT_MAX) found.push(what);
  }

  /** All discrepancies in the order of these accounts; other accounts come last. */
  list(accountIds: Iterable<string>): Discrepancy[] {
    const inOrder = new Set([...accountIds, ...this.#byAccount.keys()]);
    return [...inOrder].flatMap((accountId) =>
      (this.#byAccount.get(accountId) ?? []).map((what) => ({ accountId, what })),
    );
  }
}
