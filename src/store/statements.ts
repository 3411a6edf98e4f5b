/** Closed statements: what of them are columns, and what one JSON document holds. */
import { z } from 'zod';
import { canonicalJson } from '../canonical.ts';
import type { GrantCategory } from '../ledger/grant.ts';
import type { Adjustment, OperationUsage, Statement } from '../ledger/statement.ts';
import { bulkInsert } from '../pg/bulk.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { OverageLine } from '../pricing/overage.ts';
import { overageRatesSchema, overageRatesToJson } from '../pricing/plan-file/overage-schema.ts';
import { jsonIntegers } from '../pricing/plan-file/scalar-schemas.ts';
import { millis, type Row } from './rows.ts';

export const statementColumns = `account_id, month, plan_id, ${millis('closed_at')}, after_seq,
  last_seq, overage, currency, total::text, content`;

export const toStatement = (row: Row): Statement => ({
  accountId: row['account_id']!,
  month: row['month']!,
  planId: row['plan_id']!,
  closedAt: row['closed_at']!,
  afterSeq: BigInt(row['after_seq']!),
  lastSeq: BigInt(row['last_seq']!),
  overage: BigInt(row['overage']!),
  total:
    row['total'] === null ? null : { currency: row['currency']!, amount: row['total']! as string },
  ...content.parse(row['content']!),
});

export const insertStatements = bulkInsert<Statement>('statements', [
  ['account_id', 'text', (s) => s.accountId],
  ['month', 'text', (s) => s.month],
  ['plan_id', 'text', (s) => s.planId],
  ['closed_at', 'instant', (s) => s.closedAt],
  ['after_seq', 'bigint', (s) => s.afterSeq],
  ['last_seq', 'bigint', (s) => s.lastSeq],
  ['overage', 'bigint', (s) => s.overage],
  ['currency', 'text', (s) => s.total?.currency ?? null],
  ['total', 'numeric', (s) => s.total?.amount ?? null],
  ['content', 'jsonb', (s) => canonicalJson(contentOf(s))],
]);

/** Whole numbers as decimal text, as plans are stored. */
const contentOf = (statement: Statement) => ({
  usage: statement.usage.map(({ operation, count, credits, refunded }) => ({
    operation,
    count: `${count}`,
    credits: `${credits}`,
    refunded: `${refunded}`,
  })),
  credits_used: Object.fromEntries(
    [...statement.creditsUsed].map(([category, credits]) => [category, `${credits}`]),
  ),
  rates: statement.rates && overageRatesToJson(statement.rates),
  lines: statement.lines.map(({ tier, quantity, unitPrice, amount }) => ({
    tier,
    quantity: `${quantity}`,
    unit_price: unitPrice,
    amount,
  })),
  adjustments: statement.adjustments.map(({ month, credits, amount }) => ({
    month,
    credits: `${credits}`,
    amount,
  })),
  other_totals: statement.otherTotals,
});

const integer = jsonIntegers(0n);
const money = z.strictObject({ currency: z.string(), amount: z.string() });
const CATEGORIES = ['PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT'] as const;

const content = z
  .strictObject({
    usage: z.array(
      z.strictObject({
        operation: z.string(),
        count: integer,
        credits: integer,
        refunded: integer,
      }) satisfies z.ZodType<OperationUsage>,
    ),
    credits_used: z.partialRecord(z.enum(CATEGORIES), integer),
    rates: overageRatesSchema(jsonIntegers).nullable(),
    lines: z.array(
      z
        .strictObject({
          tier: z.int(),
          quantity: integer,
          unit_price: z.string(),
          amount: z.string(),
        })
        .transform(({ unit_price: unitPrice, ...line }): OverageLine => ({ ...line, unitPrice })),
    ),
    adjustments: z.array(
      z.strictObject({
        month: z.string(),
        credits: integer,
        amount: money.nullable(),
      }) satisfies z.ZodType<Adjustment>,
    ),
    other_totals: z.array(money),
  })
  .transform(({ credits_used, other_totals: otherTotals, ...rest }) => ({
    ...rest,
    creditsUsed: new Map<GrantCategory, bigint>(
      CATEGORIES.flatMap((category) => {
        const credits = credits_used[category];
        return credits === undefined ? [] : [[category, credits] as const];
      }),
    ),
    otherTotals,
  }));

/** Closed statements of an account with `fromMonth <= month < beforeMonth`, in their order. */
export async function loadStatements(
  em: Em,
  accountId: string,
  fromMonth: string,
  beforeMonth: string,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statementColumns} from statements
     where account_id = $1 and month >= $2 and month < $3 order by month`,
    [accountId, fromMonth, beforeMonth],
  );
  return rows.map(toStatement);
}

export async function loadStatement(
  em: Em,
  accountId: string,
  month: string,
): Promise<Statement | null> {
  const [row] = await query<Row>(
    em,
    `select ${statementColumns} from statements where account_id = $1 and month = $2`,
    [accountId, month],
  );
  return row ? toStatement(row) : null;
}

/** An account's closed statements before `beforeMonth`, newest first; from the newest where null. */
export async function listStatements(
  em: Em,
  accountId: string,
  beforeMonth: string | null,
  limit: number,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statementColumns} from statements
     where account_id = $1 and ($2::text is null or month < $2) order by month desc limit $3`,
    [accountId, beforeMonth, limit],
  );
  return rows.map(toStatement);
}

/** Closed statements of a plan after (month, account), in that order, up to `toMonth`. */
export async function listStatementsOfPlan(
  em: Em,
  planId: string,
  after: { readonly month: string; readonly accountId: string },
  toMonth: string,
  limit: number,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statementColumns} from statements
     where plan_id = $1 and month >= $2 and month <= $4 and (month, account_id) > ($2, $3)
     order by month, account_id limit $5`,
    [planId, after.month, after.accountId, toMonth, limit],
  );
  return rows.map(toStatement);
}

/** Accounts with a month that has ended by `now` and is not closed, the longest due first. */
export async function accountsToClose(em: Em, now: number, limit: number): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where statement_due_at <= to_timestamp($1::float8 / 1000)
     order by statement_due_at limit $2`,
    [now, limit],
  );
  return rows.map((row) => row.account_id);
}
