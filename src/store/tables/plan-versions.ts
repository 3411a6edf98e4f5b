/** The table of plan versions. */
import { bytea, instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const planVersions = defineTable({
  name: 'plan_versions',
  comment: "Plans' terms and packs: every version that there ever was, immutable.",
  columns: {
    planId: text('key'),
    version: int('key', '1, 2, 3 … within the plan'),
    title: text('inserted'),
    terms: json<unknown>('inserted', 'terms and packs; see src/pricing/plan-file/plan-json.ts'),
    createdAt: instant('inserted', 'it is in force from then until the next'),
    hash: bytea('inserted', 'SHA-256 over the row and the hash of the version before it'),
  },
  checks: { plan_versions_version_check: 'version > 0' },
  privileges: 'select',
});
