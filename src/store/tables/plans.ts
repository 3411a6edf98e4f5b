/** The table of plans. */
import { bytea, instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const plans = defineTable({
  name: 'plans',
  comment: 'Plans. What they say is in plan_versions and rate_cards.',
  columns: {
    planId: text('key'),
    version: int('updated', 'the newest of plan_versions: it is in force'),
    updatedAt: instant('updated'),
    revision: int('updated', 'incremented by every publication that changes something'),
    withdrawn: json<readonly number[]>(
      'updated',
      'rate card versions that were replaced before they took effect',
    ),
    hash: bytea('updated', 'SHA-256 over the row and the hashes of its newest versions'),
  },
  privileges: 'select',
});
