/** The table of event cursors. */
import { bigint, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const eventCursors = defineTable({
  name: 'event_cursors',
  comment:
    'How far the outbox has got: the last position given ("assigned"), and the last that has a delivery ("enqueued").',
  columns: {
    name: text('key'),
    position: bigint('updated', 'null: no webhook endpoint was ever configured').nullable(),
  },
  privileges: 'select, update',
});
