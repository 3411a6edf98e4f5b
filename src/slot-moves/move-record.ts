/**
 * The move as both databases have it, and what replicas have read of it. The row in the database of the new cell
 * decides: a move is done once that row says SWITCHED, in the same transaction that makes the accounts visible there.
 */
import type pg from 'pg';
import type { SlotRange } from '../cells/slot-ranges.ts';
import type { MovePhase } from '../store/tables/slot-moves.ts';

export type SlotMove = {
  readonly moveId: string;
  readonly from: string;
  readonly to: string;
  readonly slots: readonly SlotRange[];
  readonly phase: MovePhase;
};

type Row = {
  move_id: string;
  from_cell: string;
  to_cell: string;
  slots: readonly SlotRange[];
  phase: MovePhase;
};

/** The move that goes on here; null: none. */
export async function findMove(client: pg.Client): Promise<SlotMove | null> {
  const { rows } = await client.query<Row>(
    'select move_id, from_cell, to_cell, slots, phase from slot_moves',
  );
  const [row] = rows;
  if (!row) return null;
  const { move_id: moveId, from_cell: from, to_cell: to, slots, phase } = row;
  return { moveId, from, to, slots, phase };
}

export async function beginMove(client: pg.Client, move: SlotMove): Promise<void> {
  await client.query(
    `insert into slot_moves (move_id, from_cell, to_cell, slots, phase, started_at)
     values ($1, $2, $3, $4, $5, clock_timestamp())`,
    [move.moveId, move.from, move.to, JSON.stringify(move.slots), move.phase],
  );
}

/** Throws where the move was taken back meanwhile. */
export async function setPhase(client: pg.Client, moveId: string, phase: MovePhase): Promise<void> {
  const { rowCount } = await client.query('update slot_moves set phase = $2 where move_id = $1', [
    moveId,
    phase,
  ]);
  if (rowCount !== 1) throw new Error('the move was taken back by somebody else');
}

/** Ends the move where it has not switched. Whether it is ended: false where it has switched. */
export async function endUnswitched(client: pg.Client, moveId: string): Promise<boolean> {
  await client.query(`delete from slot_moves where move_id = $1 and phase <> 'SWITCHED'`, [moveId]);
  const { rowCount } = await client.query('select from slot_moves where move_id = $1', [moveId]);
  return rowCount === 0;
}

/** Also deletes what replicas have said of it. */
export async function endMove(client: pg.Client, moveId: string): Promise<void> {
  for (const table of ['cell_replicas', 'slot_moves'])
    await client.query(`delete from ${table} where move_id = $1`, [moveId]);
}

/** A replica that has not been seen for so long is taken for gone. */
const GONE_AFTER_S = 5;
/** One that is about to obey was seen within this time. */
const FRESH_S = 2;

export type Awaited = Pick<SlotMove, 'moveId'> & {
  /** What every replica must have read: the phase, or the version of the map. */
  readonly phase?: MovePhase;
  readonly mapVersion?: number;
  /** Whether those that were not seen just now are waited for, too: they are dead, or about to be seen again. */
  readonly isFresh?: boolean;
};

/** Of the replicas that were seen lately, how many there are and how many have not read that much yet. */
export async function replicasBehind(
  client: pg.Client,
  { moveId, phase, mapVersion, isFresh = false }: Awaited,
): Promise<{ readonly all: number; readonly behind: number }> {
  const { rows } = await client.query<{ all: number; behind: number }>(
    `select count(*)::int as all, count(*) filter (where not (
        ($2::text is null or (move_id = $1 and phase = $2)) and ($3::int is null or map_version >= $3)
        and (not $4 or seen_at > clock_timestamp() - make_interval(secs => ${FRESH_S}))
      ))::int as behind
     from cell_replicas
     where seen_at > clock_timestamp() - make_interval(secs => ${GONE_AFTER_S})`,
    [moveId, phase ?? null, mapVersion ?? null, isFresh],
  );
  return rows[0] ?? { all: 0, behind: 0 };
}

const POLL_MS = 20;

/**
 * Resolves when every replica that was seen lately has read that much, or to the number of those that have not in
 * `timeoutMs`. The database refuses what those write.
 */
export async function awaitReplicas(
  client: pg.Client,
  awaited: Awaited,
  timeoutMs: number,
): Promise<{ readonly all: number; readonly behind: number }> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const found = await replicasBehind(client, awaited);
    if (found.behind === 0 || performance.now() > giveUpAt) return found;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
