/** An account of another system as plain data: what a step imports. */

/** Credits of a grant of another system, and what was spent of them. */
type SpentSpec = {
  readonly credits: number;
  readonly spent: number;
  readonly spentThisMonth: number;
};

export type ImportedGrantSpec = SpentSpec & {
  /** Grant.Source and Grant.Category. */
  readonly source: number;
  readonly category: number;
  /** How long ago it was made. An allowance is of the period of then. */
  readonly agoMs: number;
  /** Left out: for ever. */
  readonly lastsMs?: number;
  readonly priority?: number;
  readonly onlyFor?: readonly string[];
  readonly reference?: string;
};

export type ImportedPurchaseSpec = SpentSpec & {
  readonly pack: string;
  readonly quantity?: number;
  readonly price: string;
  readonly agoMs: number;
  /** Null: for ever. Left out: as the pack says. */
  readonly lastsMs?: number | null;
  readonly reference: string;
};

/** An account of another system. */
export type ImportSpec = {
  readonly do: 'import';
  readonly plan: string;
  readonly name: string;
  readonly timeZone?: string;
  readonly openedAgoMs: number;
  readonly grants: readonly ImportedGrantSpec[];
  readonly purchases: readonly ImportedPurchaseSpec[];
  /** Left out: nothing is said of the running month. */
  readonly month?: {
    /** Left out: the running one. */
    readonly name?: string;
    readonly overage: number;
    readonly usage: readonly {
      readonly operation: string;
      readonly count: number;
      readonly credits: number;
    }[];
  };
  readonly reference: string;
};
