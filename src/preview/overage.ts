/** What a month's overage comes to in money, as it was and on another plan's terms. Pure. */
import { type OverageRates, overageTotal, subtractMoney, sumMoney } from '../pricing/overage.ts';
import type { Money, Terms } from '../pricing/plan.ts';

/** What the books say of an account and a month, beside its charges. */
export type RecordedMonth = {
  /** Credits no grant covered, as the month's statement counts them. */
  readonly overage: bigint;
  /** What the statement prices them by; null where it bills none. */
  readonly rates: OverageRates | null;
  /** Credits available at the month's end, of every grant. */
  readonly left: bigint;
};

export type Overage = {
  readonly overageThen: bigint;
  readonly overageNow: bigint;
  /** There was no overage and would be some: what grants could still have covered is a guess. */
  readonly estimated: boolean;
  /** Null where nothing is billed: no statement, or no rates. */
  readonly billThen: Money | null;
  readonly billNow: Money | null;
};

/** Sums over accounts; of each currency that anything is billed in, ordered by it. */
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

/** What a plan gives for a month before anything is paid for. */
export const allowanceOf = ({ allowance }: Terms): bigint => allowance?.credits ?? 0n;

/**
 * The month again on other terms. What it costs more, and what the allowance gives less, is overage
 * where there was some: grants had nothing more to give. Where there was none, it takes first what was
 * left at the month's end. No more can be overage than the month costs; what was refunded after its
 * statement is still in `overage`, and not in the credits.
 */
export function repriceOverage(
  { overage, rates, left }: RecordedMonth,
  { creditsThen, creditsNow }: Credits,
  before: Terms,
  after: Terms,
): Overage {
  const more = creditsNow - creditsThen - (allowanceOf(after) - allowanceOf(before));
  const uncovered = overage > 0n ? overage + more : more - left;
  const most = overage > creditsNow ? overage : creditsNow;
  const bounded = uncovered < most ? uncovered : most;
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

/** How much more is billed now; negative where less is. */
export const differenceOf = ({ billThen, billNow }: OverageTotals['bills'][number]): Money =>
  subtractMoney(billNow, billThen);
