/** The table of rate cards. */
import { bytea, instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const rateCards = defineTable({
  name: 'rate_cards',
  comment: "Plans' prices for operations: every version that there ever was, immutable.",
  columns: {
    planId: text('key'),
    version: int('key', '1, 2, 3 … within the plan'),
    content: json<unknown>('inserted', 'prices; see src/pricing/plan-file/plan-json.ts'),
    createdAt: instant('inserted'),
    effectiveAt: instant('inserted', 'the version is in force from then until the next'),
    hash: bytea('inserted', 'SHA-256 over the row and the hash of the version before it'),
  },
  checks: { rate_cards_version_check: 'version > 0' },
  privileges: 'select',
});
