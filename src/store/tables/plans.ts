/** The table of plans. */
import { instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const plans = defineTable({
  name: 'plans',
  comment: 'Plans as they were published last. Their prices are in rate_cards.',
  columns: {
    planId: text('key'),
    title: text('updated'),
    terms: json<unknown>('updated', 'terms and packs; see src/pricing/plan-file/plan-json.ts'),
    updatedAt: instant('updated'),
    revision: int('updated', 'incremented by every publication that changes something'),
    withdrawn: json<readonly number[]>('updated', 'versions replaced before they took effect'),
  },
  privileges: 'select, insert, update',
});
