/** Moves that nobody carries on, as their command was killed: they are completed, or taken back. */
import type { CellMap } from '../cells/cell-map.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { recordedCell } from '../cells/recorded-map.ts';
import { fromRanges } from '../cells/slot-ranges.ts';
import { leave, listLeaving } from './hand-over.ts';
import { endUnswitched, findMove, type SlotMove } from './move-record.ts';
import { complete, takeBack } from './move-slots.ts';
import { lockMoves, openSession } from './session.ts';

export type Resolved = {
  readonly move: SlotMove;
  /** `completed`: its accounts are in the new cell. `taken back`: they are in the old one, as if there had been no move. */
  readonly outcome: 'completed' | 'taken back';
};

/** The moves that are recorded in any of the cells. Throws where one cannot be reached. */
export async function findMoves(cells: readonly CellAddress[]): Promise<readonly SlotMove[]> {
  const moves = new Map<string, SlotMove>();
  for (const cell of cells) {
    const client = await openSession(cell);
    try {
      const move = await findMove(client);
      if (move) moves.set(move.moveId, move);
    } finally {
      await client.end();
    }
  }
  return [...moves.values()];
}

/** Ends every move that is recorded in a cell. Throws where a cell of such a move cannot be reached. */
export async function resolveMoves(cells: readonly CellAddress[]): Promise<readonly Resolved[]> {
  const resolved: Resolved[] = [];
  for (const move of await findMoves(cells))
    resolved.push({ move, outcome: await resolveMove(cells, move) });
  return resolved;
}

async function resolveMove(
  cells: readonly CellAddress[],
  move: SlotMove,
): Promise<Resolved['outcome']> {
  const [from, to] = [move.from, move.to].map((name) => {
    const cell = cells.find((one) => one.name === name);
    if (!cell) throw new Error(`slots are moved from ${move.from} to ${move.to}: list both cells`);
    return cell;
  }) as [CellAddress, CellAddress];
  const source = await openSession(from);
  const record = await openSession(to);
  try {
    await lockMoves(source, from.name);
    await lockMoves(record, to.name);
    // It waits for a move that commits at this moment.
    const isEnded = await endUnswitched(record, move.moveId);
    const there = await findMove(source);
    if (isEnded && there?.phase !== 'SWITCHED') {
      await takeBack(source, move.moveId);
      return 'taken back';
    }
    const recorded = await recordedCell(record);
    if (!recorded) throw new Error(`cell ${move.to} has recorded no map`);
    await finish(source, there, move, recorded.map);
    await complete(source, record, cells, move, recorded.map);
    return 'completed';
  } finally {
    await Promise.all([source.end(), record.end()]);
  }
}

/** Does what the old cell has not committed. */
async function finish(
  source: Parameters<typeof leave>[0],
  there: SlotMove | null,
  move: SlotMove,
  map: CellMap,
): Promise<void> {
  await listLeaving(source, fromRanges(move.slots));
  if (there === null || there.phase === 'SWITCHED') return;
  await leave(source, move, map);
  await source.query('commit');
}
