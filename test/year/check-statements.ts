/**
 * Statements: one for each month of a contract, every figure of it as computed from the usage log; and
 * one month of each account asked for by its name.
 */

import type { Scrip } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import type { OverageRates } from '../../src/gen/billing/v1/pricing.ts';
import type { Statement } from '../../src/gen/billing/v1/statement_service.ts';
import type { Random } from '../cluster/random.ts';
import { monthsBetween } from './calendar.ts';
import { CONTRACT_MONTHS } from './customer.ts';
import { agree, Disagreement } from './disagreement.ts';
import type { LedgerOfUsage } from './ledger-of-usage.ts';
import { addTo, type Category } from './lots.ts';
import { MonthOfUse } from './month-of-use.ts';
import { dollars, linesOf, owedAfter, sumOf } from './rates.ts';

export type Statements = {
  postpaidAccounts: number;
  statements: number;
  /** Statements with overage, and those with adjustments. */
  withOverage: number;
  withAdjustments: number;
  /** By tier: statements with a line of it. */
  readonly tiers: Map<number, number>;
  overage: bigint;
  /** In billionths of a dollar. */
  billed: bigint;
  /** Months asked for one by one, open ones of prepaid accounts among them. */
  readOneByOne: number;
};

export const noStatements = (): Statements => ({
  postpaidAccounts: 0,
  statements: 0,
  withOverage: 0,
  withAdjustments: 0,
  tiers: new Map(),
  overage: 0n,
  billed: 0n,
  readOneByOne: 0,
});

export async function checkStatements(
  scrip: Scrip,
  ledger: LedgerOfUsage,
  rates: OverageRates | undefined,
  random: Random,
  found: Statements,
) {
  const { accountId, postpaidFrom, closedIn } = ledger;
  const { statements } = await scrip.statements.listStatements({ accountId, pageSize: 1_000 });
  const listed = statements.toReversed();
  const due =
    postpaidFrom === null || closedIn === null ? [] : monthsBetween(postpaidFrom, closedIn);
  const months = listed.map(({ month }) => month);
  agree(accountId, 'the months of its statements', months.join(' '), due.join(' '));
  const [named] = listed.length > 0 ? [random.of(listed as [Statement, ...Statement[]])] : [];
  const month = named?.month ?? ledger.months.keys().next().value ?? ledger.openedIn;
  const { statement: read } = await scrip.statements.getStatement({ accountId, month });
  if (!read) throw new Disagreement(accountId, `it has no statement of ${month}`);
  found.readOneByOne += 1;
  if (postpaidFrom === null) return checkUse(read, ledger);

  if (!rates) throw new Error('the postpaid plan has no rates');
  agree(accountId, 'the number of its statements', listed.length, CONTRACT_MONTHS);
  found.postpaidAccounts += 1;
  const billing = new Billing(ledger, rates);
  for (const statement of listed) {
    checkUse(statement, ledger);
    billing.check(statement, found);
  }
  agree(accountId, `the statement of ${month}, read alone`, textOf(read), textOf(named));
}

const textOf = (statement: Statement | undefined): string =>
  JSON.stringify(statement, (_, value) => (typeof value === 'bigint' ? `${value}` : value));

const CATEGORIES: readonly [Category, Grant_Category][] = [
  ['PAID', Grant_Category.PAID],
  ['PROMOTIONAL', Grant_Category.PROMOTIONAL],
  ['ALLOWANCE', Grant_Category.ALLOWANCE],
];

/** What was used, and whose credits paid for it. */
function checkUse(statement: Statement, { accountId, months }: LedgerOfUsage) {
  const { month } = statement;
  const use = months.get(month) ?? new MonthOfUse();
  const must = (name: string, is: unknown, mustBe: unknown) =>
    agree(accountId, `${name} of ${month}`, is, mustBe);
  const operations = [...use.counts.keys()].sort();
  must(
    'operations',
    statement.usage.map(({ operation }) => operation).join(' '),
    operations.join(' '),
  );
  for (const { operation, count, credits, refunded } of statement.usage) {
    must(`count of ${operation}`, count, use.counts.get(operation) ?? 0n);
    must(`credits of ${operation}`, credits, use.credits.get(operation) ?? 0n);
    must(`refunded credits of ${operation}`, refunded, use.refunded.get(operation) ?? 0n);
  }
  for (const [category, sent] of CATEGORIES) {
    const used = statement.creditsUsed.find((used) => used.category === sent)?.credits ?? 0n;
    must(`${category} credits`, used, use.byCategory.get(category) ?? 0n);
  }
  must('overage', statement.overage, use.overage);
}

/** The bills of one account, in their order. */
class Billing {
  readonly #ledger: LedgerOfUsage;
  readonly #rates: OverageRates;
  /** Overage given back so far, by the month it was billed in. */
  readonly #givenBack = new Map<string, bigint>();

  constructor(ledger: LedgerOfUsage, rates: OverageRates) {
    this.#ledger = ledger;
    this.#rates = rates;
  }

  check(statement: Statement, found: Statements) {
    const { month, overage } = statement;
    const { accountId, months } = this.#ledger;
    const must = (name: string, is: unknown, mustBe: unknown) =>
      agree(accountId, `${name} of ${month}`, is, mustBe);
    const lines = linesOf(this.#rates, months.get(month)?.overage ?? 0n);
    const adjusted = this.#adjustments(month);
    const total = sumOf(lines) + adjusted.reduce((sum, { amount }) => sum + amount, 0n);
    must(
      'the overage lines',
      statement.overageLines
        .map(({ tier, quantity, unitPrice, amount }) =>
          [tier, quantity, unitPrice, amount?.amount].join(' '),
        )
        .join(', '),
      lines
        .map(({ tier, quantity, unitPrice, amount }) =>
          [tier, quantity, unitPrice, dollars(amount)].join(' '),
        )
        .join(', '),
    );
    must(
      'the adjustments',
      statement.adjustments
        .map(({ month, credits, amount }) => [month, credits, amount?.amount].join(' '))
        .join(', '),
      adjusted
        .map(({ month, credits, amount }) => [month, credits, dollars(amount)].join(' '))
        .join(', '),
    );
    must('the total', statement.total?.amount, dollars(total));
    must('the currency', statement.total?.currency, this.#rates.currency);
    if (!statement.closedAt) throw new Disagreement(accountId, `${month} is not closed`);

    found.statements += 1;
    if (overage > 0n) found.withOverage += 1;
    if (adjusted.length > 0) found.withAdjustments += 1;
    for (const { tier } of lines) found.tiers.set(tier, (found.tiers.get(tier) ?? 0) + 1);
    found.overage += overage;
    found.billed += total;
  }

  #adjustments(month: string) {
    const { months } = this.#ledger;
    const given = [...(months.get(month)?.givenBack ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return given.map(([billed, credits]) => {
      const overage = months.get(billed)?.overage ?? 0n;
      const before = this.#givenBack.get(billed) ?? 0n;
      addTo(this.#givenBack, billed, credits);
      const owed = (refunded: bigint) => owedAfter(this.#rates, overage, refunded);
      return { month: billed, credits, amount: owed(before + credits) - owed(before) };
    });
  }
}
