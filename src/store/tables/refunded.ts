/** The table of refunded totals. */
import { bigint, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const refunded = defineTable({
  name: 'refunded',
  comment:
    'How much of a commit or charge has been refunded. A row exists from its first refund on.',
  columns: {
    accountId: text('key'),
    seq: bigint('key', 'of the entry of the commit or charge'),
    committed: bigint('inserted', 'credits of that entry'),
    refunded: bigint('updated', 'credits given back so far'),
  },
  checks: { refunded_check: ['refunded > 0', 'refunded <= committed'] },
  privileges: 'select, insert, update',
});
