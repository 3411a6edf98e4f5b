/** Closed statements as the lines of a file. */
import { type Options, stringify } from 'csv-stringify/sync';
import { Statement as StatementMessage } from '../../gen/billing/v1/statement_service.ts';
import type { Statement } from '../../ledger/statement.ts';
import { statementMessage } from '../messages/statement.ts';

/** A file format: what the file begins with, and the lines of one statement. */
export type FileFormat = {
  readonly head: string;
  readonly lines: (statement: Statement) => string;
};

export const JSON_LINES: FileFormat = {
  head: '',
  lines: (statement) => `${JSON.stringify(StatementMessage.toJSON(statementMessage(statement)))}\n`,
};

/** What a row says beside whose statement it is of. */
type Line = {
  readonly line: 'usage' | 'credits' | 'overage' | 'adjustment' | 'total';
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

/** Columns of plain decimals: a negative one is no formula. */
const NUMBERS: ReadonlySet<unknown> = new Set(['unit_price', 'amount']);

const OPTIONS: Options = {
  columns: COLUMNS,
  record_delimiter: 'windows', // as RFC 4180 has it
  escape_formulas: true,
  cast: {
    bigint: (value) => value.toString(),
    string: (value, { column }) => {
      if (NUMBERS.has(column)) return { value, escape_formulas: false };
      return value;
    },
  },
};

export const CSV: FileFormat = {
  head: stringify([COLUMNS], { record_delimiter: 'windows' }),
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
    return stringify(rows, OPTIONS);
  },
};

function linesOf({
  usage,
  creditsUsed,
  rates,
  lines,
  overage,
  adjustments,
  total,
  otherTotals,
}: Statement): Line[] {
  return [
    ...usage.map(({ operation, ...used }): Line => ({ line: 'usage', name: operation, ...used })),
    ...[...creditsUsed].map(
      ([category, credits]): Line => ({ line: 'credits', name: category, credits }),
    ),
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
    // Every statement has one, that it may be seen that nothing is missing before it.
    { line: 'total', name: '', credits: overage, ...total },
    ...otherTotals.map((other): Line => ({ line: 'total', name: '', ...other })),
  ];
}
