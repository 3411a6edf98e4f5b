/** The table of what callers with a limit per day have moved by operators' methods. */
import { bigint, int, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const callerQuotas = defineTable({
  name: 'caller_quotas',
  comment:
    'What callers with a limit per day have granted and refunded on their last UTC day, over all accounts.',
  columns: {
    caller: text('key'),
    day: int('updated', 'counted from 1970-01-01'),
    credits: bigint('updated'),
  },
  checks: { caller_quotas_credits_check: 'credits >= 0' },
  privileges: 'select, insert, update',
});
