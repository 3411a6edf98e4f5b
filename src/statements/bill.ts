/** Prices a month: its overage by the rates, and what refunds take off the months billed before. */
import type { Adjustment, MonthUsage, Statement } from '../ledger/statement.ts';
import {
  type OverageRates,
  owedAfterRefunds,
  priceOverage,
  subtractMoney,
  sumMoney,
} from '../pricing/overage.ts';
import type { Money } from '../pricing/plan.ts';

export type Bill = Pick<Statement, 'rates' | 'lines' | 'adjustments' | 'total' | 'otherTotals'>;

/**
 * `closed` are the account's closed statements from the first month that was refunded on, in their
 * order, up to the month before this one.
 */
export function billMonth(
  { overage, refundedEarlier }: MonthUsage,
  rates: OverageRates | null,
  closed: readonly Statement[],
): Bill {
  const lines = rates ? priceOverage(rates, overage) : [];
  const adjustments = [...refundedEarlier]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([month, credits]) => adjust(month, credits, closed));
  const currency = rates?.currency ?? null;
  const given = adjustments.flatMap(({ amount }) => amount ?? []);
  const others = new Set(given.map((money) => money.currency).filter((c) => c !== currency));
  const totalIn = (currency: string, amounts: readonly string[]): Money =>
    sumMoney(currency, [
      ...amounts,
      ...given.filter((money) => money.currency === currency).map(({ amount }) => amount),
    ]);
  return {
    rates,
    lines,
    adjustments,
    total:
      currency === null
        ? null
        : totalIn(
            currency,
            lines.map(({ amount }) => amount),
          ),
    otherTotals: [...others].sort().map((other) => totalIn(other, [])),
  };
}

/** What a closed month's further refunds take off it, after those of the months in between. */
function adjust(month: string, credits: bigint, closed: readonly Statement[]): Adjustment {
  const billed = closed.find((statement) => statement.month === month);
  if (!billed?.rates) return { month, credits, amount: null };
  const before = closed
    .flatMap(({ adjustments }) => adjustments)
    .filter((adjustment) => adjustment.month === month)
    .reduce((sum, adjustment) => sum + adjustment.credits, 0n);
  const owed = (refunded: bigint) =>
    owedAfterRefunds(billed.rates as OverageRates, billed.overage, refunded);
  return { month, credits, amount: subtractMoney(owed(before + credits), owed(before)) };
}
