/**
 * The types of pricing: plans, rate cards, operations, packs, terms. Credits and quantities are `bigint`
 * in the int64 range, instants and durations are milliseconds as `number`, money is an exact decimal as
 * text. All values are immutable.
 */
import type { CustomAmount } from './custom-amount.ts';
import type { LowBalanceLevel } from './low-balance-level.ts';
import type { OverageRates } from './overage.ts';

/** The largest amount of credits: the largest int64. */
export const MAX_CREDITS = 9_223_372_036_854_775_807n;

/** How late usage can be at most. Shorter than any month: then a statement is closed before the next month has ended. */
export const LATE_USAGE_MAX_MS = 25 * 86_400_000;

/** The version of a rate card, or of terms, that was read from a file. Published ones are numbered 1, 2, 3 … */
export const UNPUBLISHED = 0;

/** An exact amount in one currency. `amount` is a plain decimal, 0 or more, such as "19.00". */
export type Money = { readonly currency: string; readonly amount: string };

/** A measured input of an operation. Without a default (null) a usage must give it. */
export type Quantity = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly min: bigint;
  readonly max: bigint;
  readonly default: bigint | null;
};

/**
 * An input of an operation that is text. `values` are the allowed ones; null: any text, and the components
 * that read it say which values have a price. Without a default (null) a usage must give it.
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

/** Credits for each unit of a quantity. */
export type PerUnitComponent = {
  readonly kind: 'per_unit';
  readonly label: string;
  readonly quantity: string;
  readonly credits: bigint;
};

/** The credits for a quantity that is at most `upTo` and above the previous step. */
export type Step = { readonly upTo: bigint; readonly credits: bigint };

/** Credits by the step that a quantity falls into. Steps ascend; the last reaches the quantity's max. */
export type TierComponent = {
  readonly kind: 'tier';
  readonly label: string;
  readonly quantity: string;
  readonly steps: readonly Step[];
};

/** Credits by the value of an attribute. `default` prices every other value, or refuses it. */
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

/** A thing that has a price: the sum of its components, or 0 if it is not billable. */
export type Operation = {
  readonly operation: string;
  readonly title: string;
  readonly billable: boolean;
  readonly quantities: ReadonlyMap<string, Quantity>;
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly components: readonly Component[];
};

/** A plan's prices, with operations sorted by name. A published version never changes. */
export type RateCard = {
  readonly version: number;
  readonly operations: ReadonlyMap<string, Operation>;
};

/** How long credits last: calendar months in UTC, or days of 24 hours. Null: for ever. */
export type Validity = { readonly months: number } | { readonly days: number } | null;

/** A number of credits for a price. */
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
  /** The calendar month, or a period counted from the account's opening. */
  readonly every: 'month' | NonNullable<Validity>;
  /** How many credits stay at the end of a period: none, all, or at most `upTo`. */
  readonly rollover: 'none' | 'all' | { readonly upTo: bigint };
};

/** What a plan grants and allows. Null: the plan does not have it. */
export type Terms = {
  /** Granted when an account is opened. */
  readonly welcome: { readonly credits: bigint; readonly validity: Validity } | null;
  /** Granted at the first moment of every period. */
  readonly allowance: Allowance | null;
  /** Null: the plan is prepaid. */
  readonly overage: {
    /** Most overage in a calendar month, in credits. */
    readonly limit: bigint;
    /** The price of overage on the month's statement. Null: it is counted there and not billed. */
    readonly rates: OverageRates | null;
  } | null;
  /** The balance is low while the usable credits are below one of these. */
  readonly lowBalanceLevels: readonly LowBalanceLevel[];
  /** Sheddable work is refused while available is below this. 0: never. */
  readonly pauseFloor: bigint;
  readonly reservation: {
    /** Time to live of a reservation that asks for none. */
    readonly ttlMs: number;
    /** The longest time to live that a reservation may ask for. */
    readonly maxTtlMs: number;
    /** How long after its expiry a reservation can be committed late. */
    readonly graceMs: number;
  };
  /** What refunded credits of an expired grant become. */
  readonly refundExpired: 'breakage' | 'new_grant';
  /** Whether later credits pay what the account owes before anything else. */
  readonly payOwed: boolean;
  /**
   * How long after its use usage can be charged to the month in which it happened. Statements close so much later. 0: not
   * at all.
   */
  readonly lateUsageMs: number;
  /** How long before a grant's expiry grant.expiring is emitted. 0: never. */
  readonly expiringNoticeMs: number;
  /** The time zone of accounts that are opened without one, by its canonical name. Null: UTC. */
  readonly timeZone: string | null;
};

/** A plan without its prices. Published ones have versions of their own: they change without a new rate card. */
export type PlanTerms = {
  readonly title: string;
  readonly terms: Terms;
  /** In the order of the plan file. */
  readonly packs: readonly Pack[];
  /** Credits that are sold in any number, in the order of the plan file. */
  readonly customAmounts: readonly CustomAmount[];
};

/** The plan of an account, with the rate card in force. */
export type Plan = PlanTerms & {
  readonly planId: string;
  /** Version of the terms. */
  readonly planVersion: number;
  readonly rateCard: RateCard;
};

/** New prices from an instant on: the whole rate card from then. */
export type PriceChange = { readonly from: number; readonly rateCard: RateCard };

/** A plan as its file states it: its first prices, and dated changes of them. */
export type PlanFile = Plan & {
  readonly file: string;
  /** In order of time; all instants differ. */
  readonly changes: readonly PriceChange[];
};

/** The rate card that the file puts in force at an instant. */
export const rateCardAt = ({ rateCard, changes }: PlanFile, instant: number): RateCard =>
  changes.findLast(({ from }) => from <= instant)?.rateCard ?? rateCard;

/** The values of an attribute that its operation declares or, if it declares none, prices. */
export function knownValues(operation: Operation, attribute: Attribute): readonly string[] {
  if (attribute.values !== null) return attribute.values;
  const priced = operation.components.flatMap((component) =>
    component.kind === 'attribute' && component.attribute === attribute.name
      ? [...component.credits.keys()]
      : [],
  );
  return [...new Set(priced)].toSorted();
}
