/** Compares the money of a statement with what the entries and earlier statements say. */
import type { Adjustment, Statement } from '../ledger/statement.ts';
import type { Report } from './findings.ts';
import {
  amountDue,
  formatNano,
  type PricedLine,
  priceOverage,
  sumOfLines,
  toNano,
} from './statement-price.ts';
import type { Month, StatementTally } from './statement-tally.ts';

/** `closed` has the account's earlier statements. */
export function checkBill(
  statement: Statement,
  month: Month,
  tally: StatementTally,
  closed: readonly Statement[],
  report: Report,
) {
  const { overage, rates } = statement;
  if (overage !== month.overage) report(`overage is ${overage}, the entries say ${month.overage}`);
  const computed = rates ? priceOverage(rates, month.overage) : [];
  checkLines(statement, computed, report);
  checkAdjustments(statement, month, tally, closed, report);
  checkTotals(statement, sumOfLines(computed), report);
}

function checkLines({ lines, rates }: Statement, computed: readonly PricedLine[], report: Report) {
  const isEqual =
    lines.length === computed.length &&
    computed.every(({ tier, quantity, amount }, index) => {
      const line = lines[index];
      return (
        line?.tier === tier &&
        line.quantity === quantity &&
        line.unitPrice === rates?.tiers[tier - 1]?.unitPrice &&
        toNano(line.amount) === amount
      );
    });
  if (isEqual) return;
  const stated = lines.map(({ tier, quantity, amount }) => `${tier}: ${quantity} for ${amount}`);
  const expected = computed.map(
    ({ tier, quantity, amount }) => `${tier}: ${quantity} for ${formatNano(amount)}`,
  );
  report(`its lines are (${stated.join(', ')}), the rates say (${expected.join(', ')})`);
}

/** Refunds of overage that earlier statements billed. */
function checkAdjustments(
  { month: name, adjustments }: Statement,
  { refundedEarlier }: Month,
  { months }: StatementTally,
  closed: readonly Statement[],
  report: Report,
) {
  const stated = new Map(adjustments.map((adjustment) => [adjustment.month, adjustment]));
  for (const earlier of new Set([...stated.keys(), ...refundedEarlier.keys()])) {
    const credits = refundedEarlier.get(earlier) ?? 0n;
    let before = 0n;
    for (const [between, { refundedEarlier: refunded }] of months)
      if (between < name) before += refunded.get(earlier) ?? 0n;
    const billed = closed.find(({ month }) => month === earlier);
    const rates = billed?.rates;
    const computed =
      billed && rates
        ? amountDue(rates, billed.overage, before + credits) -
          amountDue(rates, billed.overage, before)
        : null;
    const line = stated.get(earlier);
    if (line?.credits !== credits || amountOf(line, rates?.currency) !== computed)
      report(
        `its adjustment of ${earlier} is ${line?.credits} credits for ${line?.amount?.amount}, ` +
          `the entries say ${credits} for ${computed === null ? 'nothing' : formatNano(computed)}`,
      );
  }
}

/** In 10⁻⁹; null without an amount, undefined if it is not a decimal in this currency. */
function amountOf(line: Adjustment | undefined, currency: string | undefined) {
  if (!line?.amount) return null;
  return line.amount.currency === currency ? (toNano(line.amount.amount) ?? undefined) : undefined;
}

function checkTotals(
  { rates, total, adjustments, otherTotals }: Statement,
  ofLines: bigint,
  report: Report,
) {
  const sums = new Map<string, bigint>();
  if (rates) sums.set(rates.currency, ofLines);
  for (const { amount } of adjustments)
    if (amount)
      sums.set(amount.currency, (sums.get(amount.currency) ?? 0n) + (toNano(amount.amount) ?? 0n));
  const stated = new Map(
    [...(total ? [total] : []), ...otherTotals].map(({ currency, amount }) => [currency, amount]),
  );
  if (rates?.currency !== total?.currency)
    report(`its total is in ${total?.currency}, its rates in ${rates?.currency}`);
  for (const currency of new Set([...sums.keys(), ...stated.keys()])) {
    const amount = stated.get(currency);
    const computed = sums.get(currency);
    if (amount === undefined || computed === undefined || toNano(amount) !== computed)
      report(
        `its total in ${currency} is ${amount}, its lines and adjustments say ` +
          `${computed === undefined ? 'nothing' : formatNano(computed)}`,
      );
  }
}
