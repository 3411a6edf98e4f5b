/** A usage: one operation with its inputs, done `count` times (0 or more) with exactly these inputs. */
export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly quantities: ReadonlyMap<string, bigint>;
  readonly attributes: ReadonlyMap<string, string>;
};
