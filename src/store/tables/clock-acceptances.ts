/** The table of acceptances of the database's clock. */
import { bigint, instant } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const clockAcceptances = defineTable({
  name: 'clock_acceptances',
  comment:
    "When an operator accepted the database's clock, after a jump. Replicas that wait for it look for a new row.",
  columns: {
    acceptanceId: bigint('key', '1, 2, 3 …'),
    databaseAt: instant('inserted', "the database's clock"),
    hostAt: instant('inserted', "the clock of the operator's machine"),
  },
  privileges: 'select',
});

export type Acceptance = ReturnType<typeof clockAcceptances.read>;
