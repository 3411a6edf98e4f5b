/**
 * Copies accounts from one database to another, with everything that is theirs. All rounds of a copy are one
 * transaction of the new database, so that nobody there sees an account before it is whole, and a copy that is
 * interrupted leaves nothing behind. A round reads one snapshot of the old database.
 */
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import type { QueryResult } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { MOVED_POSITIONS } from '../cells/moved-position.ts';
import { ACCOUNT_TABLES, type MovingTable } from './account-tables.ts';
import { BY_THE_MOVE } from './guard.ts';
import { inTransaction } from './session.ts';
import { isInSlotsSql } from './slots.ts';

export type Counts = ReadonlyMap<MovingTable, number>;

/** Events keep the position that the old cell gave them as a number below 0: they are in no stream of the new cell. */
const POSITION = `case when position > 0 then position - ${MOVED_POSITIONS} else position end`;
const HAVE_POSITIONS: ReadonlySet<MovingTable> = new Set(['events', 'deliveries']);

export class AccountCopy {
  readonly #source: pg.Client;
  readonly #target: pg.Client;
  readonly #slots: readonly number[];
  readonly #columns = new Map<MovingTable, readonly string[]>();
  readonly #counts = new Map<MovingTable, number>();

  constructor(source: pg.Client, target: pg.Client, slots: readonly number[]) {
    this.#source = source;
    this.#target = target;
    this.#slots = slots;
  }

  /** Rows that the new database has, by table. */
  get counts(): Counts {
    return this.#counts;
  }

  /** Begins the transaction of the new database. Throws where it has such accounts already, or other columns. */
  async begin(): Promise<void> {
    await refuseArchived(this.#source, this.#slots);
    // Temporary tables of a session, which has one move after the other.
    await this.#source.query(
      `drop table if exists slot_move_copied, slot_move_round;
       create temp table slot_move_copied (account_id text primary key, seq bigint not null);
       create temp table slot_move_round (account_id text primary key, is_rewritten boolean not null)`,
    );
    for (const table of ACCOUNT_TABLES) this.#columns.set(table, await this.#columnsOf(table));
    await this.#target.query('begin');
    await this.#target.query(BY_THE_MOVE);
    await this.#target.query(
      `create temp table slot_move_copied (account_id text primary key) on commit drop;
       create temp table slot_move_round (account_id text primary key, is_rewritten boolean not null) on commit drop`,
    );
    const { rowCount } = await this.#target.query(
      `select from accounts where ${isInSlotsSql('account_id', this.#slots)} limit 1`,
    );
    if (rowCount !== 0) throw new Error('the new cell has accounts of these slots already');
  }

  /** Every account of the slots. Returns how many there are. */
  async copyAll(): Promise<number> {
    return await this.#copyRound(
      `insert into slot_move_round
       select account_id, false from accounts where ${isInSlotsSql('account_id', this.#slots)}`,
    );
  }

  /** The accounts that were changed since the round before. Returns how many there were. */
  async copyChanged(): Promise<number> {
    // Taken before the snapshot: what is noted later is copied again.
    await this.#source.query('truncate slot_move_round');
    await this.#source.query(
      `with taken as (delete from slot_move_changes returning id, is_rewritten)
       insert into slot_move_round (account_id, is_rewritten)
       select id, bool_or(is_rewritten) from taken group by id`,
    );
    return await this.#copyRound(null);
  }

  async #copyRound(choose: string | null): Promise<number> {
    return await inTransaction(
      this.#source,
      async () => {
        if (choose !== null) await this.#source.query(choose);
        const { rows } = await this.#source.query(
          'select count(*)::int as accounts from slot_move_round',
        );
        const accounts: number = rows[0].accounts;
        if (accounts === 0) return 0;
        await this.#target.query('truncate slot_move_round');
        await this.#transfer('slot_move_round', 'slot_move_round', 'account_id, is_rewritten');
        if (choose === null) await this.#deleteOlder();
        for (const table of ACCOUNT_TABLES) await this.#copyTable(table);
        await this.#source.query(
          `insert into slot_move_copied select account_id, seq from accounts join slot_move_round using (account_id)
           on conflict (account_id) do update set seq = excluded.seq`,
        );
        await this.#target.query(
          `insert into slot_move_copied select account_id from slot_move_round on conflict do nothing`,
        );
        return accounts;
      },
      'begin isolation level repeatable read',
    );
  }

  /** What the round before has copied of these accounts. In one query: during the stop every round trip counts. */
  async #deleteOlder(): Promise<void> {
    const statements = ACCOUNT_TABLES.map(
      (table) =>
        `delete from ${table} using slot_move_round r
         where ${table}.account_id = r.account_id ${table === 'entries' ? 'and r.is_rewritten' : ''}`,
    );
    const results = await this.#target.query(statements.join(';\n'));
    for (const [index, { rowCount }] of (results as unknown as QueryResult[]).entries())
      this.#count(ACCOUNT_TABLES[index] as MovingTable, -(rowCount ?? 0));
  }

  async #copyTable(table: MovingTable): Promise<void> {
    const isAppended = table === 'entries';
    const columns = this.#columns.get(table) ?? [];
    const selected = columns.map((column) =>
      column === '"position"' && HAVE_POSITIONS.has(table) ? POSITION : `t.${column}`,
    );
    const rows = `from ${table} t join slot_move_round r using (account_id)`;
    const newer = `left join slot_move_copied c using (account_id)
      where r.is_rewritten or c.seq is null or t.seq > c.seq`;
    const copied = await this.#transfer(
      `(select ${selected.join(', ')} ${rows} ${isAppended ? newer : ''})`,
      table,
      columns.join(', '),
    );
    this.#count(table, copied);
  }

  #count(table: MovingTable, rows: number) {
    this.#counts.set(table, (this.#counts.get(table) ?? 0) + rows);
  }

  async #transfer(from: string, to: string, columns: string): Promise<number> {
    const reading = this.#source.query(copyTo(`copy ${from} to stdout`));
    const writing = this.#target.query(copyFrom(`copy ${to} (${columns}) from stdin`));
    await pipeline(reading, writing);
    return writing.rowCount ?? 0;
  }

  /** Those of a table, which both databases must have. */
  async #columnsOf(table: string): Promise<readonly string[]> {
    const [own, other] = await Promise.all(
      [this.#source, this.#target].map(async (client) => {
        const { rows } = await client.query<{ name: string }>(
          `select quote_ident(attname) as name from pg_attribute
           where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attname`,
          [table],
        );
        return rows.map(({ name }) => name);
      }),
    );
    if (own?.join() !== other?.join())
      throw new Error(`the cells have different columns of ${table}: run scrip migrate`);
    return own as readonly string[];
  }

  /** The quotas of callers in the slots: few rows, copied once. */
  async copyQuotas(): Promise<void> {
    const condition = isInSlotsSql('caller', this.#slots);
    await this.#target.query(`delete from caller_quotas where ${condition}`);
    const copied = await this.#transfer(
      `(select caller, day, credits from caller_quotas where ${condition})`,
      'caller_quotas',
      'caller, day, credits',
    );
    this.#counts.set('caller_quotas', copied);
  }

  /** An event that comes back to the cell that gave it a position gets it again. */
  async takeBackPositions(): Promise<void> {
    for (const table of ['events', 'deliveries'])
      await this.#target.query(
        `update ${table} t set position = m.position from moved_events m join slot_move_copied using (account_id)
         where t.account_id = m.account_id and t.event_id = m.event_id`,
      );
    await this.#target.query(
      'delete from moved_events using slot_move_copied c where moved_events.account_id = c.account_id',
    );
  }
}

/** Throws where an account has archived entries: their files belong to the old cell, which alone reads and audits them. */
export async function refuseArchived(source: pg.Client, slots: readonly number[]): Promise<void> {
  const { rows } = await source.query<{ account_id: string }>(
    `select account_id from archived_accounts where ${isInSlotsSql('account_id', slots)} limit 1`,
  );
  if (rows[0])
    throw new Error(
      `account ${rows[0].account_id} has archived entries: accounts are moved before they are archived`,
    );
}
