/**
 * Checks statements: one for each month of a contract, with every figure, and one month of each account
 * read by GetStatement.
 */
import type { Scrip } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import type { OverageRates } from '../../src/gen/billing/v1/pricing.ts';
import type { Statement } from '../../src/gen/billing/v1/statement_service.ts';
import type { Random } from '../cluster/random.ts';
import { beginOf, monthAfter, monthOf, monthsBetween } from './calendar.ts';
import { CONTRACT_MONTHS } from './customer.ts';
import type { ExpectedAccount } from './expected-account.ts';
import { addTo, type Category } from './expected-grant.ts';
import { ExpectedMonth } from './expected-month.ts';
import { LATE_USAGE_MS } from './late-usage.ts';
import { assertEqual, Mismatch } from './mismatch.ts';
import { amountDue, dollars, priceOverage, sumOfLines } from './rates.ts';

/** The statements of all accounts for one month. */
export type StatementMonth = {
  withOverage: number;
  withoutOverage: number;
  withAdjustments: number;
  overage: bigint;
  /** In billionths of a dollar. */
  billed: bigint;
};

export type StatementCounts = {
  postpaidAccounts: number;
  statements: number;
  /** Statements with overage, and statements with adjustments. */
  withOverage: number;
  withAdjustments: number;
  /** Statements that have a line of this tier, by tier. */
  readonly tiers: Map<number, number>;
  readonly months: Map<string, StatementMonth>;
  overage: bigint;
  /** In billionths of a dollar. */
  billed: bigint;
  /** Months that were read by GetStatement. */
  readSingly: number;
};

export const noStatements = (): StatementCounts => ({
  postpaidAccounts: 0,
  statements: 0,
  withOverage: 0,
  withAdjustments: 0,
  tiers: new Map(),
  months: new Map(),
  overage: 0n,
  billed: 0n,
  readSingly: 0,
});

export async function checkStatements(
  scrip: Scrip,
  expected: ExpectedAccount,
  /** The run ended then, within contracts; null: after the last of them. */
  cutAt: number | null,
  rates: OverageRates | undefined,
  random: Random,
  found: StatementCounts,
) {
  const { accountId, postpaidFrom, closedIn } = expected;
  const { statements } = await scrip.statements.listStatements({ accountId, pageSize: 1_000 });
  const listed = statements.toReversed();
  const lastMonth = cutAt === null ? closedIn : monthAfter(monthOf(cutAt), -1);
  const expectedMonths =
    postpaidFrom === null || lastMonth === null ? [] : monthsBetween(postpaidFrom, lastMonth);
  const months = listed.map(({ month }) => month);
  assertEqual(
    accountId,
    'the months of its statements',
    months.join(' '),
    expectedMonths.join(' '),
  );
  const [sample] = listed.length > 0 ? [random.of(listed as [Statement, ...Statement[]])] : [];
  const month = sample?.month ?? expected.months.keys().next().value ?? expected.openedIn;
  const { statement: read } = await scrip.statements.getStatement({ accountId, month });
  if (!read) throw new Mismatch(accountId, `it has no statement of ${month}`);
  found.readSingly += 1;
  if (postpaidFrom === null) return checkUsage(read, expected);

  if (!rates) throw new Error('the postpaid plan has no rates');
  if (cutAt === null)
    assertEqual(accountId, 'the number of its statements', listed.length, CONTRACT_MONTHS);
  found.postpaidAccounts += 1;
  const billing = new Billing(expected, rates);
  for (const statement of listed) {
    checkUsage(statement, expected);
    billing.check(statement, found);
  }
  if (sample)
    assertEqual(accountId, `the statement of ${month}, read alone`, textOf(read), textOf(sample));
}

const textOf = (statement: Statement | undefined): string =>
  JSON.stringify(statement, (_, value) => (typeof value === 'bigint' ? `${value}` : value));

const CATEGORIES: readonly [Category, Grant_Category][] = [
  ['PAID', Grant_Category.PAID],
  ['PROMOTIONAL', Grant_Category.PROMOTIONAL],
  ['ALLOWANCE', Grant_Category.ALLOWANCE],
];

/** Usage by operation, and the credits used by category. */
function checkUsage(statement: Statement, { accountId, months }: ExpectedAccount) {
  const { month } = statement;
  const use = months.get(month) ?? new ExpectedMonth();
  const check = (name: string, actual: unknown, computed: unknown) =>
    assertEqual(accountId, `${name} of ${month}`, actual, computed);
  const operations = [...use.counts.keys()].sort();
  check(
    'operations',
    statement.usage.map(({ operation }) => operation).join(' '),
    operations.join(' '),
  );
  for (const { operation, count, credits, refunded } of statement.usage) {
    check(`count of ${operation}`, count, use.counts.get(operation) ?? 0n);
    check(`credits of ${operation}`, credits, use.credits.get(operation) ?? 0n);
    check(`refunded credits of ${operation}`, refunded, use.refunded.get(operation) ?? 0n);
  }
  for (const [category, sent] of CATEGORIES) {
    const used = statement.creditsUsed.find((used) => used.category === sent)?.credits ?? 0n;
    check(`${category} credits`, used, use.byCategory.get(category) ?? 0n);
  }
  check('overage', statement.overage, use.overage);
}

function addToMonth(
  { months }: StatementCounts,
  month: string,
  overage: bigint,
  isAdjusted: boolean,
  total: bigint,
) {
  const sums = months.get(month) ?? {
    withOverage: 0,
    withoutOverage: 0,
    withAdjustments: 0,
    overage: 0n,
    billed: 0n,
  };
  months.set(month, sums);
  sums[overage > 0n ? 'withOverage' : 'withoutOverage'] += 1;
  if (isAdjusted) sums.withAdjustments += 1;
  sums.overage += overage;
  sums.billed += total;
}

/** Checks the bills of one account, in order. */
class Billing {
  readonly #expected: ExpectedAccount;
  readonly #rates: OverageRates;
  /** Overage refunded so far, by the month that billed it. */
  readonly #refundedEarlier = new Map<string, bigint>();

  constructor(expected: ExpectedAccount, rates: OverageRates) {
    this.#expected = expected;
    this.#rates = rates;
  }

  check(statement: Statement, found: StatementCounts) {
    const { month, overage } = statement;
    const { accountId, months } = this.#expected;
    const check = (name: string, actual: unknown, computed: unknown) =>
      assertEqual(accountId, `${name} of ${month}`, actual, computed);
    const lines = priceOverage(this.#rates, months.get(month)?.overage ?? 0n);
    const adjusted = this.#adjustments(month);
    const total = sumOfLines(lines) + adjusted.reduce((sum, { amount }) => sum + amount, 0n);
    check(
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
    check(
      'the adjustments',
      statement.adjustments
        .map(({ month, credits, amount }) => [month, credits, amount?.amount].join(' '))
        .join(', '),
      adjusted
        .map(({ month, credits, amount }) => [month, credits, dollars(amount)].join(' '))
        .join(', '),
    );
    check('the total', statement.total?.amount, dollars(total));
    check('the currency', statement.total?.currency, this.#rates.currency);
    if (!statement.closedAt) throw new Mismatch(accountId, `${month} is not closed`);
    if (statement.closedAt.getTime() < beginOf(monthAfter(month, 1)) + LATE_USAGE_MS)
      throw new Mismatch(accountId, `${month} was closed while it could take late usage`);

    found.statements += 1;
    if (overage > 0n) found.withOverage += 1;
    if (adjusted.length > 0) found.withAdjustments += 1;
    for (const { tier } of lines) found.tiers.set(tier, (found.tiers.get(tier) ?? 0) + 1);
    found.overage += overage;
    found.billed += total;
    addToMonth(found, month, overage, adjusted.length > 0, total);
  }

  #adjustments(month: string) {
    const { months } = this.#expected;
    const given = [...(months.get(month)?.refundedEarlier ?? [])].sort(([a], [b]) =>
      a < b ? -1 : 1,
    );
    return given.map(([billed, credits]) => {
      const overage = months.get(billed)?.overage ?? 0n;
      const before = this.#refundedEarlier.get(billed) ?? 0n;
      addTo(this.#refundedEarlier, billed, credits);
      const owed = (refunded: bigint) => amountDue(this.#rates, overage, refunded);
      return { month: billed, credits, amount: owed(before + credits) - owed(before) };
    });
  }
}
