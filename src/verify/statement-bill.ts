/** The money of a statement, held against what the entries and the statements before it say. */
import type { Adjustment, Statement } from '../ledger/statement.ts';
import { linesFor, nano, owed } from './statement-price.ts';
import type { Month, StatementTally } from './statement-tally.ts';

export function checkBill(
  statement: Statement,
  month: Month,
  tally: StatementTally,
  closed: readonly Statement[],
  report: (what: string) => void,
) {
  const { overage, rates, lines } = statement;
  if (overage !== month.overage) report(`overage is ${overage}, the entries say ${month.overage}`);
  const stated = lines.map(({ tier, quantity, amount }) => `${tier}: ${quantity} for ${amount}`);
  const priced = rates ? linesFor(rates, month.overage) : [];
  const said = priced.map(([tier, quantity, amount]) => [tier, quantity, amount] as const);
  const agrees =
    lines.length === said.length &&
    said.every(([tier, quantity, amount], index) => {
      const line = lines[index];
      const unitPrice = rates?.tiers[tier - 1]?.unitPrice;
      return (
        line?.tier === tier &&
        line.quantity === quantity &&
        line.unitPrice === unitPrice &&
        nano(line.amount) === amount
      );
    });
  if (!agrees)
    report(
      `its lines are (${stated.join(', ')}), the rates say (${said.map(([tier, quantity, amount]) => `${tier}: ${quantity} for ${decimal(amount)}`).join(', ')})`,
    );
  checkAdjustments(statement, month, tally, closed, report);
  checkTotals(
    statement,
    priced.reduce((sum, [, , amount]) => sum + amount, 0n),
    report,
  );
}

function checkAdjustments(
  { month: name, adjustments }: Statement,
  { refundedEarlier }: Month,
  { months }: StatementTally,
  closed: readonly Statement[],
  report: (what: string) => void,
) {
  const stated = new Map(adjustments.map((adjustment) => [adjustment.month, adjustment]));
  for (const earlier of new Set([...stated.keys(), ...refundedEarlier.keys()])) {
    const credits = refundedEarlier.get(earlier) ?? 0n;
    let before = 0n;
    for (const [between, { refundedEarlier: refunded }] of months)
      if (between < name) before += refunded.get(earlier) ?? 0n;
    const billed = closed.find(({ month }) => month === earlier);
    const rates = billed?.rates;
    const said =
      billed && rates
        ? owed(rates, billed.overage, before + credits) - owed(rates, billed.overage, before)
        : null;
    const line = stated.get(earlier);
    if (line?.credits !== credits || amountOf(line, rates?.currency) !== said)
      report(
        `its adjustment of ${earlier} is ${line?.credits} credits for ${line?.amount?.amount}, ` +
          `the entries say ${credits} for ${said === null ? 'nothing' : decimal(said)}`,
      );
  }
}

/** In 10⁻⁹; undefined where it is in another currency than it was billed in, or no decimal. */
function amountOf(line: Adjustment | undefined, currency: string | undefined) {
  if (!line?.amount) return null;
  return line.amount.currency === currency ? (nano(line.amount.amount) ?? undefined) : undefined;
}

function checkTotals(
  { rates, total, adjustments, otherTotals }: Statement,
  ofLines: bigint,
  report: (what: string) => void,
) {
  const sums = new Map<string, bigint>();
  if (rates) sums.set(rates.currency, ofLines);
  for (const { amount } of adjustments)
    if (amount)
      sums.set(amount.currency, (sums.get(amount.currency) ?? 0n) + (nano(amount.amount) ?? 0n));
  const stated = new Map(
    [...(total ? [total] : []), ...otherTotals].map(({ currency, amount }) => [currency, amount]),
  );
  if (rates?.currency !== total?.currency)
    report(`its total is in ${total?.currency}, its rates in ${rates?.currency}`);
  for (const currency of new Set([...sums.keys(), ...stated.keys()])) {
    const amount = stated.get(currency);
    const said = sums.get(currency);
    if (amount === undefined || said === undefined || nano(amount) !== said)
      report(
        `its total in ${currency} is ${amount}, its lines and adjustments say ` +
          `${said === undefined ? 'nothing' : decimal(said)}`,
      );
  }
}

/** 10⁻⁹ as a decimal, without the zeros at its end. */
function decimal(amount: bigint): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(10, '0');
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, '');
}
