/**
 * A budget: a cap below the account, on what jobs with a value of a label, or of an operation, may use in a
 * period. It moves no credits: it refuses work, or says in an event that it was exceeded.
 */
import type { BudgetPeriod } from './budget-period.ts';

export type Budget = {
  /** Chosen by the caller; unique within the account. */
  readonly budgetId: string;
  /** seq of the entry since which it counts: jobs that began before it are not counted. */
  readonly since: bigint;
  /** In shadow mode, whose jobs have seqs of their own: the newest decision that it does not count. */
  readonly sinceDecision?: bigint;
  /** The label whose values it caps; null: it caps operations. */
  readonly label: string | null;
  /** The one value that it caps; null: a template, each value has the cap for itself. */
  readonly value: string | null;
  readonly cap: bigint;
  readonly period: BudgetPeriod;
  /** HARD: work beyond the cap is refused. SOFT: an event says so. */
  readonly enforcement: 'HARD' | 'SOFT';
  /** Caps of single values of a template; null: the value has no cap, and is counted all the same. */
  readonly exceptions: ReadonlyMap<string, bigint | null>;
};

/**
 * The value of work without the label, or of credits without an operation. A template caps it like any other,
 * so that nobody escapes a budget by leaving a label out.
 */
export const NO_VALUE = '';

/** The cap of one value; null: none. */
export function capOf({ cap, exceptions }: Budget, value: string): bigint | null {
  const exception = exceptions.get(value);
  return exception === undefined ? cap : exception;
}

/** Whether a budget counts what another counts: then one that replaces it goes on from where it was. */
export const countsTheSame = (one: Budget, other: Budget): boolean =>
  one.label === other.label && one.value === other.value && one.period === other.period;

/** What one value has used of a budget in one period. */
export type BudgetCounter = {
  readonly accountId: string;
  /** `since` of the budget. A budget that counts anew has other counters. */
  readonly since: bigint;
  /** First moment of the period; 0 in total. */
  readonly periodFrom: number;
  readonly value: string;
  used: bigint;
  /** SOFT: the highest cap whose exceeding an event has told; null: none. */
  reportedCap: bigint | null;
};

/** Of one account, by `counterName`. */
export type BudgetCounters = Map<string, BudgetCounter>;

export type BudgetCounterKey = Pick<BudgetCounter, 'since' | 'periodFrom' | 'value'>;

/** For maps of the counters of one account. */
export const counterName = ({ since, periodFrom, value }: BudgetCounterKey): string =>
  `${since} ${periodFrom} ${value}`;

/** The key of a name. */
export function counterKeyOf(name: string): BudgetCounterKey {
  const [, since, periodFrom, value] = /^(\d+) (-?\d+) (.*)$/s.exec(name) as unknown as [
    ...[name: string, since: string, periodFrom: string, value: string],
  ];
  return { since: BigInt(since), periodFrom: Number(periodFrom), value };
}
