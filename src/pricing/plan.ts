/**
 * The nouns of pricing, as plain values. Credits and quantities are `bigint` in the int64 range,
 * instants and lengths of time are milliseconds as `number`, money is an exact decimal as text.
 * Everything here is immutable once built.
 */
import type { OverageRates } from './overage.ts';

/** The largest amount of credits that exists: what an int64 column and field can hold. */
export const MAX_CREDITS = 9_223_372_036_854_775_807n;

/** Version of a rate card that only stands in a file; the store numbers published ones 1, 2, 3 … */
export const UNPUBLISHED = 0;

/** An exact amount in one currency. `amount` is a plain decimal, 0 or more, such as "19.00". */
export type Money = { readonly currency: string; readonly amount: string };

/** A measured input of an operation. A null default means a usage must carry it. */
export type Quantity = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly min: bigint;
  readonly max: bigint;
  readonly default: bigint | null;
};

/**
 * A named choice of an operation. `values` closes the choice; null leaves it open, so that only
 * the components that read it say which values have a price. A null default means a usage must
 * carry it.
 */
export type Attribute = {
  readonly name: string;
  readonly title: string;
  readonly values: readonly string[] | null;
  readonly default: string | null;
};

/** The same credits for every usage. */
export type FlatComponent = {
  readonly kind: 'flat';
  readonly label: string;
  readonly credits: bigint;
};

/** So many credits for each unit of a quantity. */
export type PerUnitComponent = {
  readonly kind: 'per_unit';
  readonly label: string;
  readonly quantity: string;
  readonly credits: bigint;
};

/** One tier: the credits of a usage whose quantity is at most `upTo` and above the tier before. */
export type Step = { readonly upTo: bigint; readonly credits: bigint };

/** Credits by the tier a quantity falls in. Steps ascend; the last reaches the quantity's max. */
export type TierComponent = {
  readonly kind: 'tier';
  readonly label: string;
  readonly quantity: string;
  readonly steps: readonly Step[];
};

/** Credits by the value of an attribute; `default` prices any other value, or refuses it. */
export type AttributeComponent = {
  readonly kind: 'attribute';
  readonly label: string;
  readonly attribute: string;
  readonly credits: ReadonlyMap<string, bigint>;
  readonly default: bigint | 'refuse';
};

/** Credits computed by a CEL expression over the operation's quantities and attributes. */
export type CelComponent = {
  readonly kind: 'cel';
  readonly label: string;
  readonly expression: string;
};

/** One part of an operation's price. */
export type Component =
  | FlatComponent
  | PerUnitComponent
  | TierComponent
  | AttributeComponent
  | CelComponent;

/** A thing that has a price: the sum of its components; nothing where it is not billable. */
export type Operation = {
  readonly operation: string;
  readonly title: string;
  readonly billable: boolean;
  readonly quantities: ReadonlyMap<string, Quantity>;
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly components: readonly Component[];
};

/** A plan's prices, operations ordered by name. A published version never changes. */
export type RateCard = {
  readonly version: number;
  readonly operations: ReadonlyMap<string, Operation>;
};

/** How long credits last: calendar months in UTC, days of 24 hours, or null for ever. */
export type Validity = { readonly months: number } | { readonly days: number } | null;

/** An amount of credits that can be bought. */
export type Pack = {
  readonly packId: string;
  readonly title: string;
  readonly credits: bigint;
  readonly price: Money;
  readonly validity: Validity;
};

/** Credits given every period. */
export type Allowance = {
  readonly credits: bigint;
  /** The calendar month, UTC, or a length of time counted from the account's opening. */
  readonly every: 'month' | NonNullable<Validity>;
  /** What becomes of them at the period's end: they lapse, they stay, or so many of them stay. */
  readonly rollover: 'none' | 'all' | { readonly upTo: bigint };
};

/** What a plan grants and allows, beside prices. Null means the plan has none of it. */
export type Terms = {
  /** Granted once, when an account is opened. */
  readonly welcome: { readonly credits: bigint; readonly validity: Validity } | null;
  /** Granted at the first moment of every period. */
  readonly allowance: Allowance | null;
  /** Postpaid line. Null: prepaid. */
  readonly overage: {
    /** Credits a calendar month that no grant has to cover. */
    readonly limit: bigint;
    /** What they cost on the month's statement. Null: they are counted there and not billed. */
    readonly rates: OverageRates | null;
  } | null;
  /** An account with fewer available credits than this has a low balance. */
  readonly lowBalanceThreshold: bigint;
  /** Below so many available credits, sheddable work is refused. 0: nothing is. */
  readonly pauseFloor: bigint;
  readonly reservation: {
    /** Life of a reservation that does not ask for another. */
    readonly ttlMs: number;
    /** The longest life a reservation may ask for. */
    readonly maxTtlMs: number;
    /** How long after its expiry a reservation can still be committed late. */
    readonly graceMs: number;
  };
  /** What refunded credits become whose grant has expired since. */
  readonly refundExpired: 'breakage' | 'new_grant';
  /** How long before a grant expires that is said; 0: never. */
  readonly expiringNoticeMs: number;
};

/** What a plan is beside its prices: stored and changed without a new rate card version. */
export type PlanTerms = {
  readonly title: string;
  readonly terms: Terms;
  /** In the order of the plan file. */
  readonly packs: readonly Pack[];
};

/** The terms an account lives under. */
export type Plan = PlanTerms & { readonly planId: string; readonly rateCard: RateCard };

/** Other prices from an instant on: the whole rate card as it is then. */
export type PriceChange = { readonly from: number; readonly rateCard: RateCard };

/** A plan as its file says it: the prices at first, and how they change at dates. */
export type PlanFile = Plan & {
  readonly file: string;
  /** In the order of their instants, no two of one. */
  readonly changes: readonly PriceChange[];
};

/** The rate card that a file puts in force at an instant. */
export const rateCardAt = ({ rateCard, changes }: PlanFile, instant: number): RateCard =>
  changes.findLast(({ from }) => from <= instant)?.rateCard ?? rateCard;

/** The values of an attribute that its operation names: those declared, or else those priced. */
export function knownValues(operation: Operation, attribute: Attribute): readonly string[] {
  if (attribute.values !== null) return attribute.values;
  const priced = operation.components.flatMap((component) =>
    component.kind === 'attribute' && component.attribute === attribute.name
      ? [...component.credits.keys()]
      : [],
  );
  return [...new Set(priced)].toSorted();
}
