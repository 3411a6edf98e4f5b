/** The formats of an exported file: CSV, and JSON with one statement per line. */
import { type Options, stringify } from 'csv-stringify/sync';
import { Statement as StatementMessage } from '../../gen/billing/v1/statement_service.ts';
import type { Statement } from '../../ledger/statement.ts';
import { statementMessage } from '../messages/statement.ts';

export type FileFormat = {
  /** What the file begins with. */
  readonly header: string;
  /** The lines of one statement, each with its line break. */
  readonly lines: (statement: Statement) => string;
};

export const JSON_LINES: FileFormat = {
  header: '',
  lines: (statement) => `${JSON.stringify(StatementMessage.toJSON(statementMessage(statement)))}\n`,
};

/** A line of a statement. Its CSV row begins with the account, month, plan and closing of the statement. */
type Line = {
  readonly line: 'usage' | 'credits' | 'owed' | 'overage' | 'adjustment' | 'total';
  readonly name: string;
  readonly count?: bigint;
  readonly credits?: bigint;
  readonly refunded?: bigint;
  readonly unitPrice?: string;
  readonly currency?: string | undefined;
  readonly amount?: string | undefined;
};

const COLUMNS = [
  ...['account_id', 'month', 'plan_id', 'closed_at', 'line', 'name'],
  ...['count', 'credits', 'refunded', 'unit_price', 'currency', 'amount'],
];

/** Columns of decimals: a minus sign in front does not make a formula. */
const DECIMAL_COLUMNS: ReadonlySet<unknown> = new Set(['unit_price', 'amount']);

const CSV_OPTIONS: Options = {
  columns: COLUMNS,
  record_delimiter: 'windows', // CRLF, as in RFC 4180
  escape_formulas: true,
  cast: {
    bigint: (value) => value.toString(),
    string: (value, { column }) => {
      if (DECIMAL_COLUMNS.has(column)) return { value, escape_formulas: false };
      return value;
    },
  },
};

export const CSV: FileFormat = {
  header: stringify([COLUMNS], { record_delimiter: 'windows' }),
  lines(statement) {
    const { accountId, month, planId, closedAt } = statement;
    const closed = closedAt === null ? '' : new Date(closedAt).toISOString();
    const rows = linesOf(statement).map(({ unitPrice: unit_price, ...line }) => ({
      account_id: accountId,
      month,
      plan_id: planId,
      closed_at: closed,
      unit_price,
      ...line,
    }));
    return stringify(rows, CSV_OPTIONS);
  },
};

function linesOf({
  usage,
  creditsUsed,
  rates,
  lines,
  overage,
  owed,
  owedPaid,
  adjustments,
  total,
  otherTotals,
}: Statement): Line[] {
  return [
    ...usage.map(({ operation, ...used }): Line => ({ line: 'usage', name: operation, ...used })),
    ...[...creditsUsed].map(
      ([category, credits]): Line => ({ line: 'credits', name: category, credits }),
    ),
    ...(owed > 0n ? [{ line: 'owed', name: 'used', credits: owed } as const] : []),
    ...(owedPaid > 0n ? [{ line: 'owed', name: 'paid', credits: owedPaid } as const] : []),
    ...lines.map(
      ({ tier, quantity, unitPrice, amount }): Line => ({
        line: 'overage',
        name: `${tier}`,
        credits: quantity,
        unitPrice,
        currency: rates?.currency,
        amount,
      }),
    ),
    ...adjustments.map(
      ({ month, credits, amount }): Line => ({
        line: 'adjustment',
        name: month,
        credits,
        currency: amount?.currency,
        amount: amount?.amount,
      }),
    ),
    // Every statement ends with a total, so that a reader can tell that it is complete.
    { line: 'total', name: '', credits: overage, ...total },
    ...otherTotals.map((other): Line => ({ line: 'total', name: '', ...other })),
  ];
}
