/** The table of deliveries, and its join with events. */
import { bigint, instant, int, text, uuid } from '../../pg/column.ts';
import { defineTable, type Row } from '../../pg/table.ts';
import { events, type PositionedEvent } from './events.ts';

export type DeliveryState = 'PENDING' | 'DELIVERED' | 'DEAD';

export const deliveries = defineTable({
  name: 'deliveries',
  comment: 'Events on their way to the webhook endpoint. Replicas share them by leases on due_at.',
  columns: {
    accountId: text('key'),
    eventId: uuid('key'),
    position: bigint('inserted', 'of the event'),
    state: text<DeliveryState>('updated'),
    attempts: int('updated', 'so far; the current one is counted'),
    dueAt: instant('updated', 'of the next attempt, or end of the lease of this one').nullable(),
    lastAttemptAt: instant('updated').nullable(),
    lastError: text('updated', 'empty after a success'),
    endedAt: instant('updated').nullable(),
  },
  checks: {
    deliveries_state_check: "state in ('PENDING', 'DELIVERED', 'DEAD')",
    deliveries_attempts_check: 'attempts >= 0',
    deliveries_due_check: "(state = 'PENDING') = (due_at is not null)",
    deliveries_end_check: "(state = 'PENDING') = (ended_at is null)",
  },
  indexes: {
    deliveries_due: { on: ['dueAt'], where: 'due_at is not null' },
    deliveries_by_position: { on: ['position'] },
    deliveries_by_state: { on: ['state', 'position'] },
  },
  privileges: 'select, insert, update',
  fillfactor: 70,
});

export type Delivery = ReturnType<typeof deliveries.read> & { readonly event: PositionedEvent };

/** For `select … from deliveries d join events e using (account_id, event_id)`. */
export const joinedDeliveries = {
  selectList: `${events.selectListOf('e')}, ${deliveries.selectListOf('d')}`,
  read: (row: Row): Delivery => ({ ...deliveries.read(row), event: events.read(row) }),
};
