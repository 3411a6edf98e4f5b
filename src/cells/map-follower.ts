/**
 * Follows the map, and the moves of slots from a cell, as the cell's database has them. A replica obeys what it reads
 * and says so there: a move waits until every replica has stopped the calls on its slots.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { Poller } from '../poller.ts';
import type { MovePhase } from '../store/tables/slot-moves.ts';
import { readSlots, type StoredSlots } from './cell-map.ts';
import type { CellRouter } from './cell-router.ts';
import { fromRanges, type SlotRange } from './slot-ranges.ts';

/** src/slot-moves counts on them. */
const INTERVAL_MS = 400;
const INTERVAL_OF_MOVES_MS = 100;
/** How often a replica says again that it has read what it said before. */
const RENEW_MS = 500;

export type MapFollowerOptions = {
  readonly cell: string;
  readonly em: () => Em;
  readonly cells: CellRouter<unknown>;
  readonly monotonic: () => number;
  readonly log: Logger;
};

type Found = {
  readonly map_version: number;
  readonly slots: StoredSlots;
  readonly move_id: string | null;
  readonly from_cell: string;
  readonly moving: readonly SlotRange[];
  readonly phase: MovePhase;
};

export class MapFollower {
  readonly #options: MapFollowerOptions;
  readonly #poller: Poller;
  /** Of this replica, to moves from the cell. */
  readonly #replicaId = randomUUID();
  /** The move whose slots are stopped; empty: none are. */
  #stoppedBy = '';
  /** What it said last, and when. */
  #said = '';
  #saidAt = 0;

  constructor(options: MapFollowerOptions) {
    this.#options = options;
    this.#poller = new Poller({
      name: 'following of the map',
      intervalMs: INTERVAL_MS,
      log: options.log,
      run: () => this.#follow(),
    });
  }

  stop(graceMs?: number): Promise<void> {
    return this.#poller.stop(graceMs);
  }

  /** Obeys what the database says now. Whether there is a move. */
  async read(): Promise<boolean> {
    const { em, cells, cell } = this.#options;
    const [found] = await query<Found>(
      em(),
      `select c.map_version, c.slots, m.move_id, m.from_cell, m.slots as moving, m.phase
       from cells c left join slot_moves m on true`,
      [],
    );
    if (!found) return false;
    const { map_version: version, slots, move_id: moveId, from_cell: from, phase } = found;
    if (version > cells.mapVersion) {
      const map = readSlots(slots);
      if (typeof map === 'string') throw new Error(`the map of cell ${cell}: ${map}`);
      cells.follow({ version, cells: map });
      this.#options.log.info({ version }, 'the map of the cells has changed');
    }
    const isLeaving = moveId !== null && from === cell;
    // Here SWITCHED means that the accounts are gone: it is committed with their deletion and with the new map.
    const isStopped = phase === 'STOPPING' || phase === 'STOPPED';
    const stoppedBy = isLeaving && isStopped ? moveId : '';
    if (stoppedBy !== this.#stoppedBy)
      cells.stop(cell, new Set(stoppedBy === '' ? [] : fromRanges(found.moving)));
    this.#stoppedBy = stoppedBy;
    if (isLeaving) await this.#say(moveId, phase);
    return moveId !== null;
  }

  async #follow(): Promise<boolean> {
    if (!(await this.read())) return false;
    const { stopping } = this.#poller;
    await sleep(INTERVAL_OF_MOVES_MS, null, { signal: stopping, ref: false }).catch(() => {});
    return true;
  }

  async #say(moveId: string, phase: MovePhase): Promise<void> {
    const { em, cells, monotonic } = this.#options;
    const said = `${moveId} ${phase} ${cells.mapVersion}`;
    if (said === this.#said && monotonic() - this.#saidAt < RENEW_MS) return;
    await query(
      em(),
      `insert into cell_replicas (replica_id, move_id, phase, map_version, seen_at)
       values ($1, $2, $3, $4, clock_timestamp())
       on conflict (replica_id) do update set move_id = excluded.move_id, phase = excluded.phase,
         map_version = excluded.map_version, seen_at = excluded.seen_at`,
      [this.#replicaId, moveId, phase, cells.mapVersion],
    );
    this.#said = said;
    this.#saidAt = monotonic();
  }
}
