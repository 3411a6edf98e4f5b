/** A month's overage and its bill, as recorded and on another plan's terms. Pure. */

import { min } from '../min.ts';
import { subtractMoney, sumMoney } from '../pricing/money.ts';
import { type OverageRates, overageTotal } from '../pricing/overage.ts';
import type { Money, Terms } from '../pricing/plan.ts';

/** What the ledger says of an account and a month, apart from its charges. */
export type RecordedMonth = {
  /** Overage as the month's statement counts it. */
  readonly overage: bigint;
  /** The rates of the statement; null if it does not bill overage. */
  readonly rates: OverageRates | null;
  /** Credits of all grants that were available at the month's end. */
  readonly availableAtEnd: bigint;
};

export type Overage = {
  readonly overageThen: bigint;
  readonly overageNow: bigint;
  /** Whether there was no overage and would be some. What grants could have covered is an estimate then. */
  readonly estimated: boolean;
  /** Null: nothing is billed, without a statement or without rates. */
  readonly billThen: Money | null;
  readonly billNow: Money | null;
};

/** Sums over accounts. Bills are summed by currency, and sorted by it. */
export type OverageTotals = {
  readonly overageThen: bigint;
  readonly overageNow: bigint;
  /** Accounts whose overage is estimated. */
  readonly estimated: bigint;
  readonly bills: readonly {
    readonly currency: string;
    readonly billThen: Money;
    readonly billNow: Money;
  }[];
};

type Credits = { readonly creditsThen: bigint; readonly creditsNow: bigint };

/** Credits of a plan's allowance, 0 if it gives none. */
export const allowanceOf = ({ allowance }: Terms): bigint => allowance?.credits ?? 0n;

/**
 * The month's overage and bill on other terms. What the month costs more, and what the allowance gives less,
 * becomes overage. If the month had no overage, the credits that were available at its end pay first.
 * Overage is at most the credits of the month, or the recorded overage: that one still includes what was
 * refunded after the statement was closed, and the credits do not.
 */
export function repriceOverage(
  { overage, rates, availableAtEnd }: RecordedMonth,
  { creditsThen, creditsNow }: Credits,
  before: Terms,
  after: Terms,
): Overage {
  const more = creditsNow - creditsThen - (allowanceOf(after) - allowanceOf(before));
  const uncovered = overage > 0n ? overage + more : more - availableAtEnd;
  const bounded = min(uncovered, overage > creditsNow ? overage : creditsNow);
  const overageNow = after.overage === null || bounded < 0n ? 0n : bounded;
  const ratesNow = after.overage?.rates ?? null;
  return {
    overageThen: overage,
    overageNow,
    estimated: overage === 0n && overageNow > 0n,
    billThen: rates && overageTotal(rates, overage),
    billNow: ratesNow && overageTotal(ratesNow, overageNow),
  };
}

export const NO_OVERAGE: OverageTotals = {
  overageThen: 0n,
  overageNow: 0n,
  estimated: 0n,
  bills: [],
};

export function addOverage(totals: OverageTotals, account: Overage): OverageTotals {
  const { billThen, billNow } = account;
  const billed = [billThen, billNow].flatMap((bill) => bill?.currency ?? []);
  const currencies = new Set([...totals.bills.map(({ currency }) => currency), ...billed]);
  return {
    overageThen: totals.overageThen + account.overageThen,
    overageNow: totals.overageNow + account.overageNow,
    estimated: totals.estimated + (account.estimated ? 1n : 0n),
    bills: [...currencies].sort().map((currency) => {
      const sum = totals.bills.find((bill) => bill.currency === currency);
      const plus = (before: Money | undefined, bill: Money | null) =>
        sumMoney(currency, [
          ...(before ? [before.amount] : []),
          ...(bill?.currency === currency ? [bill.amount] : []),
        ]);
      return {
        currency,
        billThen: plus(sum?.billThen, billThen),
        billNow: plus(sum?.billNow, billNow),
      };
    }),
  };
}

/** How much more would be billed now; negative if less. */
export const differenceOf = ({ billThen, billNow }: OverageTotals['bills'][number]): Money =>
  subtractMoney(billNow, billThen);
