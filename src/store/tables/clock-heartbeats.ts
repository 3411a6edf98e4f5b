/** The table of the clock's heartbeat. */
import { bigint, instant, text, uuid } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const clockHeartbeats = defineTable({
  name: 'clock_heartbeats',
  comment:
    "The time that a replica trusted last ('newest'). It shows whether the database's clock has jumped while no replica watched it.",
  columns: {
    name: text('key'),
    trustedAt: instant('updated'),
    databaseAt: instant('updated', "the database's clock at that time"),
    acceptanceId: bigint('updated', 'the newest acceptance when the clocks agreed last; 0: none'),
    writer: uuid('updated', 'the process'),
  },
  privileges: 'select, insert, update',
  fillfactor: 70,
});
