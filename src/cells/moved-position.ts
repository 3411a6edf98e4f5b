/** Positions of events whose account was moved to another cell: they stay what they were. Pure. */

/**
 * The new cell has the position less this number, below 0, so that the event is in none of its streams and keeps its
 * place among those of the account.
 */
export const MOVED_POSITIONS = 1_000_000_000_000_000_000n;

/** The position that an event was given, here or in the cell that its account was in at that time. */
export const givenPosition = ({ position }: { readonly position: bigint }): bigint =>
  position < 0n ? position + MOVED_POSITIONS : position;
