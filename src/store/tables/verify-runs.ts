/** The table of audits of the whole ledger. */
import { bigint, instant, int, uuid } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const verifyRuns = defineTable({
  name: 'verify_runs',
  comment:
    'Audits of the whole ledger (npm run verify), for metrics and alerts. Nothing that decides credits reads them.',
  columns: {
    runId: uuid('key'),
    finishedAt: instant('inserted', "the database's clock"),
    accounts: bigint('inserted', 'audited; 0 where something was found'),
    entries: bigint('inserted', 'audited; 0 where something was found'),
    discrepancies: int(
      'inserted',
      'found; without --all an audit ends after the first accounts that have some',
    ),
  },
  indexes: {
    verify_runs_newest: { on: ['finishedAt'] },
    verify_runs_successful: { on: ['finishedAt'], where: 'discrepancies = 0' },
  },
  privileges: 'select, insert',
});
