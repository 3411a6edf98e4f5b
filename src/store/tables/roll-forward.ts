/** The tables of roll-forwards: what moved credits, by the month. Everything in them follows from the entries. */
import type { GrantCategory } from '../../ledger/grant.ts';
import { bigint, json, numeric, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';

/** What changes the unspent credits of a plan's accounts. */
export const MOVEMENTS = [
  'ISSUED',
  'REFUNDED',
  'SPENT',
  'EXPIRED',
  'VOIDED',
  'CLAWED_BACK',
  'MOVED',
  'CORRECTED',
] as const;
export type Movement = (typeof MOVEMENTS)[number];

/** Those that take credits away. */
export const LOSSES: ReadonlySet<Movement> = new Set(['SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK']);

const sumColumns = {
  accountId: text('key'),
  month: text('key', 'in UTC, e.g. "2026-11"'),
  planId: text('key', 'the plan that the entries name'),
  category: text<GrantCategory>('key', 'of the grants'),
  currency: text('key', 'in which the grants were paid, ISO 4217; empty: without a price'),
  movement: text<Movement>('key'),
  credits: numeric()(
    'updated',
    'what is spent, expired, voided and clawed back is lost, the rest is gained',
  ),
  amount: numeric()('updated', 'what was paid for them, in the smallest unit of the currency'),
};

export type RollForwardSum = Values<typeof sumColumns>;

export const rollForwardSums = defineTable({
  name: 'roll_forward_sums',
  comment:
    'What moved the unspent credits of accounts, by the month: sums over their entries up to the seq of ' +
    'roll_forward_positions. Roll-forwards are sums of them.',
  columns: sumColumns,
  checks: {
    roll_forward_sums_month_check: "month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'",
    roll_forward_sums_category_check:
      "category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')",
    roll_forward_sums_movement_check: `movement in (${MOVEMENTS.map((one) => `'${one}'`).join(', ')})`,
    roll_forward_sums_credits_check: "credits >= 0 or movement = 'MOVED'",
    roll_forward_sums_amount_check: [
      "(amount >= 0 or movement = 'MOVED')",
      "(amount = 0 or currency <> '')",
      "(currency = '' or category = 'PAID')",
    ],
  },
  indexes: { roll_forward_sums_by_month: { on: ['month', 'planId'] } },
  privileges: 'select, insert, update, delete',
});

const positionColumns = {
  accountId: text('key'),
  seq: bigint('updated', 'the sums are exact up to this entry'),
  planId: text('updated', "the account's plan after it"),
  remaining: json<Readonly<Record<string, string>>>(
    'updated',
    'unspent credits of its grants after it: {"grant": "credits"}',
  ),
};

export type RollForwardPosition = Values<typeof positionColumns>;

export const rollForwardPositions = defineTable({
  name: 'roll_forward_positions',
  comment:
    'How far the entries of each account are in roll_forward_sums. Who counts more locks the row.',
  columns: positionColumns,
  checks: { roll_forward_positions_seq_check: 'seq >= 0' },
  privileges: 'select, insert, update',
  unanalyzed: ['remaining'],
  fillfactor: 70,
});
