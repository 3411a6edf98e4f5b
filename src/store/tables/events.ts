/** The table of events: the outbox. */
import type { EventType, LedgerEvent } from '../../ledger/event.ts';
import type { SealedEvent } from '../../ledger/event-hash.ts';
import { bigint, boolean, bytea, instant, json, text, uuid } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export type PositionedEvent = LedgerEvent & { readonly position: bigint };

export const events = defineTable({
  name: 'events',
  comment: 'What subscribers are told, written by the transaction that caused it (outbox).',
  columns: {
    accountId: text('key'),
    eventId: uuid('key'),
    seq: bigint('inserted', '1, 2, 3 … within the account'),
    position: bigint(
      'updated',
      '1, 2, 3 … over all accounts; given after the commit. Below 0: given in another cell, see moved_events',
    )
      .nullable()
      .from((_: SealedEvent) => null),
    type: text<EventType>('inserted', 'e.g. "balance.low"'),
    at: instant('inserted'),
    data: json<Readonly<Record<string, string>>>('inserted', '{"name": "value"}'),
    traceId: text('inserted', 'W3C trace id, hexadecimal, of what caused it'),
    spanId: text('inserted'),
    sampled: boolean('inserted', 'whether that span was exported'),
    salt: bytea('inserted', 'hashed with the data; null: both are erased').nullable(),
    dataHash: bytea('inserted', 'SHA-256 over data and salt; it stays when they are erased'),
    hash: bytea('inserted', 'SHA-256 over the rest and the statement that it says was closed'),
  },
  // Events are read once they have their position.
  toDomain: (values) => values as PositionedEvent,
  checks: { events_seq_check: 'seq > 0', events_position_check: 'position <> 0' },
  indexes: {
    events_waiting: { on: ['accountId', 'seq'], where: 'position is null' },
    events_by_position: { on: ['position'] },
    events_of_account: { on: ['accountId', 'position'] },
  },
  privileges: 'select, insert, update',
  unanalyzed: ['data', 'salt', 'dataHash', 'hash'],
});
