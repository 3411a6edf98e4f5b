/** The table of the cell that a database is. */
import { instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const cells = defineTable({
  name: 'cells',
  comment:
    'The cell that this ledger is, and the map of the 4,096 slots of accounts to all cells. Empty: it is the only one.',
  columns: {
    name: text('key', 'of this cell: there is one row'),
    mapVersion: int('updated', '1, 2, 3 …'),
    slots: json<Readonly<Record<string, readonly (readonly [number, number])[]>>>(
      'updated',
      'by cell: first and last of each range; see src/cells/cell-map.ts',
    ),
    recordedAt: instant('updated'),
  },
  privileges: 'select',
});
