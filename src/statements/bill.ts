/** Prices a month: its overage by the rates, and the adjustments for refunds of earlier months. */

import type { Adjustment, MonthUsage, Statement } from '../ledger/statement.ts';
import { subtractMoney, sumMoney } from '../pricing/money.ts';
import { type OverageRates, owedAfterRefunds, priceOverage } from '../pricing/overage.ts';
import type { Money } from '../pricing/plan.ts';

export type Bill = Pick<Statement, 'rates' | 'lines' | 'adjustments' | 'total' | 'otherTotals'>;

/**
 * `closed` are the account's closed statements, in order, from the first month that this month refunds
 * to the month before this one. Without rates, overage is counted and not billed.
 */
export function billMonth(
  { overage, refundedEarlier }: MonthUsage,
  rates: OverageRates | null,
  closed: readonly Statement[],
): Bill {
  const lines = rates ? priceOverage(rates, overage) : [];
  const adjustments = [...refundedEarlier]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([month, credits]) => adjustMonth(month, credits, closed));
  const adjusted = adjustments.flatMap(({ amount }) => amount ?? []);
  const sumIn = (currency: string, amounts: readonly string[]): Money =>
    sumMoney(currency, [
      ...amounts,
      ...adjusted.filter((money) => money.currency === currency).map(({ amount }) => amount),
    ]);
  const lineAmounts = lines.map(({ amount }) => amount);
  const otherCurrencies = new Set(
    adjusted.map(({ currency }) => currency).filter((currency) => currency !== rates?.currency),
  );
  return {
    rates,
    lines,
    adjustments,
    total: rates && sumIn(rates.currency, lineAmounts),
    otherTotals: [...otherCurrencies].sort().map((currency) => sumIn(currency, [])),
  };
}

/** What refunding `credits` subtracts from a closed month, after the refunds that are adjusted already. */
function adjustMonth(month: string, credits: bigint, closed: readonly Statement[]): Adjustment {
  const statement = closed.find((candidate) => candidate.month === month);
  if (!statement?.rates) return { month, credits, amount: null };
  const { rates, overage } = statement;
  const refundedBefore = closed
    .flatMap(({ adjustments }) => adjustments)
    .filter((adjustment) => adjustment.month === month)
    .reduce((sum, adjustment) => sum + adjustment.credits, 0n);
  const owedAfter = (refunded: bigint) => owedAfterRefunds(rates, overage, refunded);
  const amount = subtractMoney(owedAfter(refundedBefore + credits), owedAfter(refundedBefore));
  return { month, credits, amount };
}
