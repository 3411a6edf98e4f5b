/** The tables of moves of slots between cells. */
import { bigint, instant, int, json, text, uuid } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

/**
 * COPYING: its accounts are served and copied. STOPPING: replicas refuse calls on them. STOPPED: the database refuses
 * writes, too. SWITCHED: they belong to the other cell.
 */
export type MovePhase = 'COPYING' | 'STOPPING' | 'STOPPED' | 'SWITCHED';

export const slotMoves = defineTable({
  name: 'slot_moves',
  comment: 'The move of slots from this cell or to it that is going on. Empty: none is.',
  columns: {
    moveId: uuid('key'),
    fromCell: text('inserted'),
    toCell: text('inserted'),
    slots: json<readonly (readonly [number, number])[]>('inserted', 'first and last of each range'),
    phase: text<MovePhase>('updated', 'see src/store/tables/slot-moves.ts'),
    startedAt: instant('inserted'),
  },
  checks: {
    slot_moves_phase_check: "phase in ('COPYING', 'STOPPING', 'STOPPED', 'SWITCHED')",
  },
  privileges: 'select',
});

export const cellReplicas = defineTable({
  name: 'cell_replicas',
  comment:
    'What replicas know of the move of slots from this cell. They write it while there is one.',
  columns: {
    replicaId: uuid('key', 'the process'),
    moveId: uuid('updated'),
    phase: text<MovePhase>('updated', 'that the replica has read, and obeys'),
    mapVersion: int('updated', 'by which it routes calls'),
    seenAt: instant('updated'),
  },
  privileges: 'select, insert, update',
  fillfactor: 70,
});

export const movedEvents = defineTable({
  name: 'moved_events',
  comment:
    'Events that have their position in this cell, and whose account has been moved to another since. Streams read them there.',
  columns: {
    accountId: text('key'),
    eventId: uuid('key'),
    position: bigint('inserted', 'in this cell'),
  },
  checks: { moved_events_position_check: 'position > 0' },
  indexes: {
    moved_events_by_position: { on: ['position'] },
    moved_events_of_account: { on: ['accountId', 'position'] },
  },
  privileges: 'select',
});

export const restores = defineTable({
  name: 'restores',
  comment:
    'When the database was restored from a backup. The newest row tells tokens of event streams from those of before.',
  columns: { restoreId: uuid('key'), restoredAt: instant('inserted') },
  privileges: 'select',
});
