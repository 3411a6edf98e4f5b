/** A usage: what a price is asked for. */

/** One operation with its measured inputs, done `count` times (1 or more) with exactly these. */
export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly quantities: Readonly<Record<string, bigint>>;
  readonly attributes: Readonly<Record<string, string>>;
};
