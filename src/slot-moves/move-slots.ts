/**
 * Moves slots from one cell to another while both serve calls. The accounts are copied; then their calls are stopped,
 * what has changed is copied, all is compared, and the new map is recorded. The move is done by one commit in the
 * database of the new cell. Before it the move can be taken back, after it it can only be completed.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { CellMap } from '../cells/cell-map.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { recordCell, recordedCell } from '../cells/recorded-map.ts';
import { slotsOf, toRanges } from '../cells/slot-ranges.ts';
import { compareCopies } from './compare.ts';
import { AccountCopy } from './copy-accounts.ts';
import { drain, fenceSlots, hasFence, installGuard, removeGuard } from './guard.ts';
import { deleteEntries, EventNumbering, leave, setMap } from './hand-over.ts';
import {
  awaitReplicas,
  beginMove,
  endMove,
  endUnswitched,
  findMove,
  type SlotMove,
  setPhase,
} from './move-record.ts';
import { lockMoves, lockOutArchiver, openSession } from './session.ts';
import { mapAfter } from './slots.ts';

export type MoveStep = 'copying' | 'stopping' | 'stopped' | 'leaving' | 'switched' | 'deleting';

export type MoveOptions = {
  /** All of the installation. */
  readonly cells: readonly CellAddress[];
  readonly from: string;
  readonly to: string;
  readonly slots: readonly number[];
  /** The newest there is. */
  readonly map: CellMap;
  /** Called when a step begins. */
  readonly onStep?: (step: MoveStep) => unknown;
};

export type MoveResult = {
  readonly map: CellMap;
  readonly accounts: number;
  readonly entries: number;
  /** How long the copy took before the stop. */
  readonly copyMs: number;
  /** From the moment when the first replica refused calls on the accounts until they were served by the new cell. */
  readonly stopMs: number;
  /** What that time was spent with, in milliseconds. */
  readonly stopParts: Readonly<
    Record<'obeyed' | 'drained' | 'copied' | 'compared' | 'left', number>
  >;
  /** Accounts that had to be copied again during the stop. */
  readonly changed: number;
  /** Of those that serve the cell, and those that have not answered in time. */
  readonly replicas: number;
  readonly silent: number;
  /** Cells that could not be told of the new map. */
  readonly uninformed: readonly string[];
};

/** Replicas look twice a second whether there is a move; those that were not seen after this time do not exist. */
const NOTICE_MS = 2_000;
/** How long a replica may take to obey. */
const OBEY_TIMEOUT_MS = 10_000;
/** The stop begins when a round has found so few changed accounts, or when rounds find no end. */
const FEW_ACCOUNTS = 50;
const ROUNDS_MAX = 20;

export async function moveSlots(options: MoveOptions): Promise<MoveResult> {
  const { cells, from, to, slots } = options;
  const move: SlotMove = {
    ...{ moveId: randomUUID(), from, to, slots: toRanges(slots) },
    phase: 'COPYING',
  };
  const opened: pg.Client[] = [];
  const open = async (name: string) => {
    const session = await openSession(addressOf(cells, name));
    opened.push(session);
    return session;
  };
  try {
    const [source, target, record] = [await open(from), await open(to), await open(to)];
    const others = cells.map(({ name }) => name).filter((name) => name !== from && name !== to);
    const sessions = new Map([[from, source] as const, [to, record] as const]);
    for (const name of others) sessions.set(name, await open(name));
    await lockAll(sessions, options.map);
    await lockOutArchiver(source, from);
    const newMap = mapAfter(options.map, slots, to);
    // The new cell first: without its row a move cannot be completed.
    await beginMove(record, move);
    await beginMove(source, move);
    const numbering = await EventNumbering.open(addressOf(cells, from).url);
    let moved: Omit<MoveResult, 'uninformed' | 'map'>;
    try {
      moved = await copyAndSwitch(options, move, newMap, { source, target, numbering });
    } catch (error) {
      await target.query('rollback').catch(() => {});
      await source.query('rollback').catch(() => {});
      if (!(await endUnswitched(record, move.moveId)))
        throw new Error('the move has switched: run the command again, which completes it', {
          cause: error,
        });
      await takeBack(source, move.moveId);
      throw error;
    } finally {
      await numbering.close();
    }
    const uninformed = await complete(source, record, cells, move, newMap, options.onStep);
    return { ...moved, map: newMap, uninformed };
  } finally {
    await Promise.all(opened.map((client) => client.end().catch(() => {})));
  }
}

/**
 * Keeps other commands from moving slots of any cell, as every move makes a new version of one map. Throws where one
 * has done so, or was killed, since this move was planned.
 */
async function lockAll(sessions: ReadonlyMap<string, pg.Client>, map: CellMap): Promise<void> {
  // All commands lock in the order of the names: none waits for another that waits for it.
  const byName = [...sessions].toSorted(([one], [other]) => (one < other ? -1 : 1));
  for (const [name, session] of byName) await lockMoves(session, name);
  for (const [name, session] of byName) {
    const recorded = await recordedCell(session);
    if ((recorded && recorded.map.version > map.version) || (await findMove(session)))
      throw new Error(`another command has moved slots of cell ${name}: run this one again`);
  }
}

function addressOf(cells: readonly CellAddress[], name: string): CellAddress {
  const cell = cells.find((one) => one.name === name);
  if (!cell) throw new Error(`there is no cell ${name}`);
  return cell;
}

type Sessions = {
  readonly source: pg.Client;
  readonly target: pg.Client;
  readonly numbering: EventNumbering;
};

async function copyAndSwitch(
  { slots, onStep }: MoveOptions,
  move: SlotMove,
  newMap: CellMap,
  { source, target, numbering }: Sessions,
) {
  const { moveId } = move;
  const startedAt = performance.now();
  await installGuard(source, slots);
  await onStep?.('copying');
  const copy = new AccountCopy(source, target, slots);
  await copy.begin();
  const accounts = await copy.copyAll();
  for (let round = 0; round < ROUNDS_MAX; round++)
    if ((await copy.copyChanged()) <= FEW_ACCOUNTS) break;
  await noticed(source, startedAt);
  await awaitReplicas(source, { moveId, phase: 'COPYING', isFresh: true }, OBEY_TIMEOUT_MS);
  await copy.copyChanged();
  const copyMs = performance.now() - startedAt;

  await onStep?.('stopping');
  const stoppedAt = performance.now();
  let lapAt = stoppedAt;
  const lap = () => {
    const before = lapAt;
    lapAt = performance.now();
    return lapAt - before;
  };
  await setPhase(source, moveId, 'STOPPING');
  const replicas = await awaitReplicas(source, { moveId, phase: 'STOPPING' }, OBEY_TIMEOUT_MS);
  const obeyed = lap();
  await drain(source, () => setPhase(source, moveId, 'STOPPED'));
  const drained = lap();
  await onStep?.('stopped');
  await numbering.finish();
  const changed = await copy.copyChanged();
  await copy.copyQuotas();
  await copy.takeBackPositions();
  const copied = lap();
  await compareCopies(source, target, copy.counts);
  const compared = lap();
  await leave(source, move, newMap);
  await onStep?.('leaving');
  await setMap(target, newMap);
  await setPhase(target, moveId, 'SWITCHED');
  await target.query('commit');
  await onStep?.('switched');
  await source.query('commit');
  const left = lap();
  return {
    ...{ accounts, changed, copyMs, entries: copy.counts.get('entries') ?? 0 },
    ...{ stopMs: lapAt - stoppedAt, stopParts: { obeyed, drained, copied, compared, left } },
    ...{ replicas: replicas.all, silent: replicas.behind },
  };
}

/** Resolves when every replica has had the time to notice the move. */
async function noticed(source: pg.Client, startedAt: number): Promise<void> {
  const leftMs = startedAt + NOTICE_MS - performance.now();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
  await source.query('select 1');
}

const slotsNotOf = (map: CellMap, name: string): readonly number[] => {
  const own = new Set(slotsOf(map, name));
  return map.cells.flatMap((_, slot) => (own.has(slot) ? [] : [slot]));
};

/**
 * Leaves the accounts to the old cell, where the new one has no row of the move. The row of the old cell is deleted
 * last: while it is there, the next run of the command does this again.
 */
export async function takeBack(source: pg.Client, moveId: string): Promise<void> {
  // Replicas serve the accounts again at once.
  if (await findMove(source)) await setPhase(source, moveId, 'COPYING');
  await removeGuard(source);
  await endMove(source, moveId);
}

/**
 * Does what is left once the old cell has committed; it can be repeated. The rows of the move are deleted last, as in
 * `takeBack`. Returns the cells that were not reached.
 */
export async function complete(
  source: pg.Client,
  record: pg.Client,
  cells: readonly CellAddress[],
  move: SlotMove,
  map: CellMap,
  onStep?: MoveOptions['onStep'],
): Promise<readonly string[]> {
  const uninformed: string[] = [];
  for (const cell of cells)
    if (cell.name !== move.from && cell.name !== move.to)
      await recordCell(cell, map).catch(() => uninformed.push(cell.name));
  await awaitReplicas(source, { moveId: move.moveId, mapVersion: map.version }, OBEY_TIMEOUT_MS);
  await onStep?.('deleting');
  await deleteEntries(source);
  await fenceSlots(source, slotsNotOf(map, move.from));
  if (await hasFence(record)) await fenceSlots(record, slotsNotOf(map, move.to));
  await removeGuard(source);
  await endMove(source, move.moveId);
  await endMove(record, move.moveId);
  return uninformed;
}
