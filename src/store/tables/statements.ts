/** The table of closed statements. What no query asks for is in one JSON document. */
import { z } from 'zod';
import type { GrantCategory } from '../../ledger/grant.ts';
import type { Adjustment, OperationUsage, Statement } from '../../ledger/statement.ts';
import { bigint, instant, json, numeric, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import type { OverageLine } from '../../pricing/overage.ts';
import { overageRatesSchema, overageRatesToJson } from '../../pricing/plan-file/overage-schema.ts';
import { jsonIntegers } from '../../pricing/plan-file/scalar-schemas.ts';

const columns = {
  accountId: text('key'),
  month: text('key', 'e.g. "2026-11"'),
  planId: text('inserted', 'the plan that prices it'),
  // Only closed statements are stored.
  closedAt: instant('inserted').from((s: Statement) => s.closedAt as number),
  afterSeq: bigint('inserted', 'it counts the entries with after_seq < seq <= last_seq'),
  lastSeq: bigint('inserted'),
  overage: bigint('inserted', 'credits'),
  currency: text('inserted', 'null where overage is not billed')
    .nullable()
    .from((s: Statement) => s.total?.currency ?? null),
  total: numeric()('inserted', 'amount to pay; below 0 where earlier months are adjusted')
    .nullable()
    .from((s: Statement) => s.total?.amount ?? null),
  content: json<unknown>('inserted', 'usage, what was owed, rates, lines and adjustments').from(
    contentOf,
  ),
};

export const statements = defineTable({
  name: 'statements',
  comment: 'Closed bills, one per account and calendar month of overage, immutable.',
  columns,
  toDomain: ({ currency, total, content, ...values }: Values<typeof columns>): Statement => ({
    ...values,
    total: currency !== null && total !== null ? { currency, amount: total } : null,
    ...contentSchema.parse(content),
  }),
  checks: {
    statements_month_check: "month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'",
    statements_seq_check: ['after_seq >= 0', 'after_seq <= last_seq'],
    statements_overage_check: 'overage >= 0',
    statements_total_check: '(total is null) = (currency is null)',
  },
  indexes: { statements_by_plan: { on: ['planId', 'month', 'accountId'] } },
  privileges: 'select, insert',
});

/** What the hash of the event that announces it covers. */
export const sealedStatement = (statement: Statement): unknown => [
  statement.planId,
  statement.closedAt,
  statement.afterSeq,
  statement.lastSeq,
  statement.overage,
  statement.total,
  contentOf(statement),
];

/** Whole numbers are decimal text, as in stored plans. */
function contentOf(statement: Statement) {
  return {
    usage: statement.usage.map(({ operation, count, credits, refunded }) => ({
      operation,
      count: `${count}`,
      credits: `${credits}`,
      refunded: `${refunded}`,
    })),
    credits_used: Object.fromEntries(
      [...statement.creditsUsed].map(([category, credits]) => [category, `${credits}`]),
    ),
    ...(statement.owed > 0n && { owed: `${statement.owed}` }),
    ...(statement.owedPaid > 0n && { owed_paid: `${statement.owedPaid}` }),
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
  };
}

/** Sums of entries: they can be more than an int64. */
const integer = z
  .string()
  .regex(/^(0|[1-9][0-9]*)$/)
  .transform((digits) => BigInt(digits));
const money = z.strictObject({ currency: z.string(), amount: z.string() });
const CATEGORIES = ['PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT'] as const;

const contentSchema = z
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
    owed: integer.default(0n),
    owed_paid: integer.default(0n),
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
  .transform(({ credits_used, owed_paid: owedPaid, other_totals: otherTotals, ...rest }) => ({
    ...rest,
    owedPaid,
    creditsUsed: new Map<GrantCategory, bigint>(
      CATEGORIES.flatMap((category) => {
        const credits = credits_used[category];
        return credits === undefined ? [] : [[category, credits] as const];
      }),
    ),
    otherTotals,
  }));
