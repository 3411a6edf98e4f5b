/** How many credits a caller's calls may move. They bound mistakes, and are no budget: nothing is given back. */

/** Null: no limit. */
export type CreditLimits = {
  /** Of one mutation: what it reserves, raises, charges, draws beyond its reservation, grants or refunds. */
  readonly perCall: bigint | null;
  /** Of a UTC day, on all accounts. */
  readonly perDay: bigint | null;
  /** Of a UTC day, on each account. */
  readonly perAccountAndDay: bigint | null;
};
