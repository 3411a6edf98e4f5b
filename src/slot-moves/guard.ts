/**
 * What the database of a cell does with writes to moving slots. While they are copied, triggers note which accounts
 * were changed. When they are stopped, the same triggers refuse what is written: a replica that does not know of the
 * move cannot write, whatever it believes. Cells that move nothing have no such trigger.
 *
 * A write and the stop are kept apart by an advisory lock. Writes share it until they commit; the stop takes it alone,
 * and so begins when the last of them has ended.
 */
import type pg from 'pg';
import { SLOT_MOVED } from '../cells/fence.ts';
import { MOVING_TABLES, type MovingTable } from './account-tables.ts';
import { changeTable, inTransaction } from './session.ts';
import { isInSlotsSql, slotSql } from './slots.ts';

/** Prefix of the triggers of a move, which the source cell has until the move ends. */
const MOVE_TRIGGER = 'slot_move';

/** Tells the triggers that it is the move that writes. */
export const BY_THE_MOVE = `set local scrip.moves_slots = 'yes'`;

const isByTheMove = `current_setting('scrip.moves_slots', true) = 'yes'`;

/** Of the upper half of the number of the advisory lock; the lower one is that of the table, as schemas share them. */
const LOCK_SPACE = 0x5c219;

const refusal = `raise exception 'the slot of % belongs to another cell, or is being moved there', moved
      using errcode = '${SLOT_MOVED.code}', constraint = '${SLOT_MOVED.constraint}';`;

/** Events get positions while their account is stopped, and deliveries are attempted: neither changes a balance. */
const UNREFUSED: Partial<Record<MovingTable, readonly string[]>> = {
  events: ['update'],
  deliveries: ['insert', 'update'],
};

const OPERATIONS = ['insert', 'update', 'delete'] as const;

type Place = { readonly schema: string; readonly lock: string };

async function placeOf(client: pg.Client): Promise<Place> {
  const { rows } = await client.query(
    `select quote_ident(current_schema()) as schema,
       (${LOCK_SPACE}::bigint << 32) + 'slot_moves'::regclass::oid::bigint as lock`,
  );
  return rows[0] as Place;
}

const functionSql = ({ schema, lock }: Place, column: string, isRefusing: boolean): string => `
create or replace function ${schema}.${functionName(column, isRefusing)}() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  moved text;
begin
  if tg_op = 'DELETE' then moved := old.${column}; else moved := new.${column}; end if;
  if ${isByTheMove} is true then
    if tg_op = 'DELETE' then return old; end if;
    return new;
  end if;
  ${
    isRefusing
      ? `perform pg_advisory_xact_lock_shared(${lock});
  if exists (select from ${schema}.slot_moves where phase in ('STOPPED', 'SWITCHED')) then
    ${refusal}
  end if;`
      : ''
  }
  insert into ${schema}.slot_move_changes (id, is_rewritten)
    values (moved, tg_table_name = 'entries' and tg_op <> 'INSERT');
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $$`;

const functionName = (column: string, isRefusing: boolean): string =>
  `slot_move_${isRefusing ? 'write' : 'note'}_${column}`;

/** From now on changes of accounts of these slots are noted. */
export async function installGuard(client: pg.Client, slots: readonly number[]): Promise<void> {
  const place = await placeOf(client);
  await inTransaction(client, async () => {
    await client.query(
      `create table if not exists slot_move_changes (id text not null, is_rewritten boolean not null)`,
    );
    await client.query('delete from slot_move_changes');
    for (const column of new Set(Object.values(MOVING_TABLES)))
      for (const isRefusing of [true, false])
        await client.query(functionSql(place, column, isRefusing));
  });
  for (const [table, column] of Object.entries(MOVING_TABLES))
    await changeTable(client, triggersSql(table as MovingTable, column, slots, place.schema));
}

const triggersSql = (
  table: MovingTable,
  column: string,
  slots: readonly number[],
  schema: string,
): string =>
  OPERATIONS.map((operation) => {
    const isRefusing = !UNREFUSED[table]?.includes(operation);
    const row = operation === 'delete' ? 'old' : 'new';
    return `create or replace trigger ${MOVE_TRIGGER}_${operation} before ${operation} on ${table}
      for each row when (${isInSlotsSql(`${row}.${column}`, slots)})
      execute function ${schema}.${functionName(column, isRefusing)}()`;
  }).join(';\n');

/** How long the stop waits for writes that are under way. Others wait behind it meanwhile. */
const DRAIN_TIMEOUT = '3s';

/** Resolves when no write to the slots is under way, and `stop` has said in the database that all later ones are refused. */
export async function drain(client: pg.Client, stop: () => Promise<void>): Promise<void> {
  const { lock } = await placeOf(client);
  await inTransaction(client, async () => {
    await client.query(`set local lock_timeout = '${DRAIN_TIMEOUT}'`);
    await client.query(`select pg_advisory_xact_lock(${lock})`);
    await stop();
  });
}

/** Removes what a move has installed. */
export async function removeGuard(client: pg.Client): Promise<void> {
  const { schema } = await placeOf(client);
  for (const table of Object.keys(MOVING_TABLES))
    await changeTable(
      client,
      OPERATIONS.map(
        (operation) => `drop trigger if exists ${MOVE_TRIGGER}_${operation} on ${table}`,
      ).join(';\n'),
    );
  const functions = [...new Set(Object.values(MOVING_TABLES))].flatMap((column) =>
    [true, false].map(
      (isRefusing) => `drop function if exists ${schema}.${functionName(column, isRefusing)}()`,
    ),
  );
  await changeTable(client, [...functions, 'drop table if exists slot_move_changes'].join(';\n'));
}

/** Tables that every write to an account which is not there any more inserts into. */
const FENCED = { entries: 'account_id', caller_quotas: 'caller' } as const;

/**
 * Refuses, for ever, what a replica with an old map writes to slots that this cell has given away. A trigger asks for
 * the slot of each new entry; a slot that has come back meanwhile is found in the map. None: it has given none away.
 */
export async function fenceSlots(client: pg.Client, slots: readonly number[]): Promise<void> {
  const { schema } = await placeOf(client);
  const body = Object.values(FENCED).map(
    (column) => `create or replace function ${schema}.slot_of_other_cell_${column}() returns trigger
  language plpgsql as $$
declare
  moved text := new.${column};
begin
  if ${isByTheMove} is true or exists (
    select from ${schema}.cells, jsonb_array_elements(slots -> name) owned
    where ${slotSql('moved')} between (owned ->> 0)::int and (owned ->> 1)::int
  ) then
    return new;
  end if;
  ${refusal}
end $$`,
  );
  await changeTable(client, body.join(';\n'));
  for (const [table, column] of Object.entries(FENCED))
    await changeTable(
      client,
      slots.length === 0
        ? `drop trigger if exists slot_of_other_cell on ${table}`
        : `create or replace trigger slot_of_other_cell before insert on ${table}
             for each row when (${isInSlotsSql(`new.${column}`, slots)})
             execute function ${schema}.slot_of_other_cell_${column}()`,
    );
}

/** Whether the cell has given slots away before. */
export async function hasFence(client: pg.Client): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_trigger where tgname = 'slot_of_other_cell' and tgrelid = 'entries'::regclass`,
  );
  return rowCount !== 0;
}
