/** The moment of a move: what the old cell does with accounts that leave it. */
import type pg from 'pg';
import { type CellMap, storedSlots } from '../cells/cell-map.ts';
import { fromRanges } from '../cells/slot-ranges.ts';
import { readDatabaseTime } from '../clock/clock-records.ts';
import { enqueueDeliveries } from '../events/deliveries.ts';
import { assignPositions, hasUnpositionedEvents } from '../events/outbox.ts';
import { connect, type Orm } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { ACCOUNT_TABLES } from './account-tables.ts';
import { BY_THE_MOVE } from './guard.ts';
import { type SlotMove, setPhase } from './move-record.ts';
import { isInSlotsSql } from './slots.ts';

const BATCH_MAX = 500;
/** As the service's own: a connection on which the database is silent is given up. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Gives events positions and deliveries, as replicas do. It is opened before the stop, as that takes its time. */
export class EventNumbering {
  readonly #orm: Orm;

  static async open(url: string): Promise<EventNumbering> {
    return new EventNumbering(await connect(url, {}, 1, ANSWER_TIMEOUT_MS));
  }

  private constructor(orm: Orm) {
    this.#orm = orm;
  }

  /**
   * Leaves no event of the cell that only another cell could number. What an account did here is in the stream of this
   * cell for ever.
   */
  async finish(): Promise<void> {
    const em = () => this.#orm.em.fork();
    // It is null while a replica does it.
    while (await hasUnpositionedEvents(em())) await assignPositions(em(), BATCH_MAX);
    const deliveries = await query(
      em(),
      `select 1 from event_cursors where name = 'enqueued' and position is not null`,
      [],
    );
    if (deliveries.length > 0)
      while ((await enqueueDeliveries(em(), await readDatabaseTime(em()), BATCH_MAX)) > 0);
  }

  close(): Promise<void> {
    return this.#orm.close();
  }
}

/**
 * Deletes the accounts from the old cell, in a transaction that stays open, and leaves where their events are to be
 * found. Their entries, which are many, are deleted later: nobody looks for entries of an account that is not there.
 */
export async function leave(source: pg.Client, move: SlotMove, map: CellMap): Promise<void> {
  await source.query('begin');
  const deleting = ACCOUNT_TABLES.filter((table) => table !== 'entries').map(
    (table) =>
      `delete from ${table} using slot_move_copied c where ${table}.account_id = c.account_id`,
  );
  await source.query(
    [
      BY_THE_MOVE,
      `insert into moved_events (position, account_id, event_id)
       select position, account_id, event_id from events join slot_move_copied using (account_id)
       where position > 0`,
      ...deleting,
      `delete from caller_quotas where ${isInSlotsSql('caller', fromRanges(move.slots))}`,
    ].join(';\n'),
  );
  await setMap(source, map);
  await setPhase(source, move.moveId, 'SWITCHED');
}

/** Records the map in a database that has one, in the transaction of the connection. */
export async function setMap(client: pg.Client, map: CellMap): Promise<void> {
  await client.query(
    `update cells set map_version = $1, slots = $2, recorded_at = clock_timestamp() where map_version < $1`,
    [map.version, JSON.stringify(storedSlots(map))],
  );
}

/** Rows per statement: short transactions, beside calls. */
const DELETED_MAX = 5_000;

/** Deletes the entries of accounts that have left. */
export async function deleteEntries(source: pg.Client): Promise<number> {
  let deleted = 0;
  for (;;) {
    await source.query('begin');
    await source.query(BY_THE_MOVE);
    const { rowCount } = await source.query(
      `delete from entries where ctid = any(array(
         select entries.ctid from entries join slot_move_copied using (account_id) limit ${DELETED_MAX}))`,
    );
    await source.query('commit');
    deleted += rowCount ?? 0;
    if ((rowCount ?? 0) === 0) return deleted;
  }
}

/** The accounts of a move that somebody else has begun: those that are here, or have left their entries. */
export async function listLeaving(source: pg.Client, slots: readonly number[]): Promise<void> {
  await source.query(
    `drop table if exists slot_move_copied, slot_move_round;
     create temp table slot_move_copied as
       select account_id, seq from accounts where ${isInSlotsSql('account_id', slots)}
       union
       select account_id, seq from entries where seq = 1 and ${isInSlotsSql('account_id', slots)}
         and not exists (select from accounts a where a.account_id = entries.account_id)`,
  );
}
