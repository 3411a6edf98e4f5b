/** The tables of usage rollups: what accounts used, by the hour. Everything in them follows from the entries. */

import { bigint, boolean, instant, int, json, numeric, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import type { LabelsOfMonth } from '../../statements/label-places.ts';

/** What an amount is summed by. */
const dimensions = {
  accountId: text('key'),
  label: text('key', 'the label whose values the row is one of; empty: of all entries'),
  hour: instant('key', 'its first moment, UTC'),
  operation: text('key', 'empty: credits without a usage'),
  caller: text('key', 'who charged'),
  planId: text('key', 'whose prices applied'),
  rateCardVersion: int('key', 'of that plan; 0: none'),
  beyond: boolean('key', 'of all values, or without a label of all labels, beyond the limit'),
  labelValue: text('key', 'as entries state it'),
};

const checksOf = (table: string) => ({
  [`${table}_hour_check`]: 'extract(epoch from hour) % 3600 = 0',
  [`${table}_label_check`]: [
    "(label <> '' or label_value = '')",
    "(not beyond or label_value = '')",
  ],
});

const rollupColumns = {
  ...dimensions,
  count: numeric()('updated', 'how many times'),
  credits: numeric()('updated', 'charged in this hour, overage included'),
  refunded: numeric()('updated', 'given back in this hour, of charges of any time'),
};

export type UsageRollup = Values<typeof rollupColumns>;

export const usageRollups = defineTable({
  name: 'usage_rollups',
  comment:
    'What accounts used, by the hour: sums over their entries up to the seq of usage_positions. An entry counts ' +
    'once without a label, and once more for each of its labels.',
  columns: rollupColumns,
  checks: {
    ...checksOf('usage_rollups'),
    usage_rollups_sums_check: ['count >= 0', 'credits >= 0', 'refunded >= 0'],
  },
  indexes: { usage_rollups_by_hour: { on: ['label', 'hour', 'planId'] } },
  privileges: 'select, insert, update, delete',
});

const quantityColumns = {
  ...dimensions,
  quantity: text('key', 'such as "pages"'),
  total: numeric()('updated', 'of one usage, times its count'),
};

export type UsageQuantity = Values<typeof quantityColumns>;

export const usageQuantities = defineTable({
  name: 'usage_quantities',
  comment: 'The measured quantities of usage_rollups, such as pages. Refunds lower nothing here.',
  columns: quantityColumns,
  checks: { ...checksOf('usage_quantities'), usage_quantities_total_check: 'total >= 0' },
  indexes: { usage_quantities_by_hour: { on: ['label', 'hour', 'planId'] } },
  privileges: 'select, insert, update, delete',
});

const positionColumns = {
  accountId: text('key'),
  seq: bigint('updated', 'the rollups are exact up to this entry'),
  labels: json<LabelsOfMonth>(
    'updated',
    'of the month of the newest usage, the values that have rows of their own; null: none',
  ).nullable(),
};

export type UsagePosition = Values<typeof positionColumns>;

export const usagePositions = defineTable({
  name: 'usage_positions',
  comment:
    'How far the entries of each account are in usage_rollups. Who counts more locks the row.',
  columns: positionColumns,
  checks: { usage_positions_seq_check: 'seq >= 0' },
  privileges: 'select, insert, update',
  unanalyzed: ['labels'],
  fillfactor: 70,
});
