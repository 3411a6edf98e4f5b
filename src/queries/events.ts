/** Events that have their positions. */
import type { EventType } from '../ledger/event.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { events, type PositionedEvent } from '../store/tables/events.ts';
import { movedEvents } from '../store/tables/slot-moves.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

/** The newest position; 0 before the first. */
export async function newestPosition(em: Em): Promise<bigint> {
  const [row] = await query<{ position: string }>(
    em,
    'select position from event_cursors where name = $1',
    ['assigned'],
  );
  return BigInt(row?.position ?? 0);
}

/** Tells the database from what it was before it was restored; 0: it never was. */
export async function findEpoch(em: Em): Promise<number> {
  const [row] = await query<{ restore_id: string }>(
    em,
    'select restore_id from restores order by restored_at desc, restore_id limit 1',
    [],
  );
  return row ? Number.parseInt(row.restore_id.slice(0, 8), 16) : 0;
}

/** The id of the event at a position, here or in the cell that it was moved to; null: there is none. */
export async function findEventIdAt(em: Em, position: bigint): Promise<string | null> {
  const [row] = await query<{ event_id: string }>(
    em,
    `select event_id from events where position = $1
     union all select event_id from moved_events where position = $1`,
    [position],
  );
  return row?.event_id ?? null;
}

export type EventFilter = {
  /** Empty: all. */
  readonly types: readonly EventType[];
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** An event that has its position here, and is in the cell that its account was moved to. */
export type MovedEvent = {
  readonly position: bigint;
  readonly accountId: string;
  readonly eventId: string;
};

/** The first `limit` of them with after < position <= upTo, of all accounts where `accountId` is empty. */
export async function findMovedEvents(
  em: Em,
  after: bigint,
  upTo: bigint,
  accountId: string,
  limit: number,
): Promise<MovedEvent[]> {
  const where = new Conditions(['position > $1', 'position <= $2'], [after, upTo, limit]);
  if (accountId) where.add((p) => `account_id = ${p}`, accountId);
  const rows = await query<Row>(
    em,
    `select ${movedEvents.selectList} from moved_events where ${where} order by position limit $3`,
    where.parameters,
  );
  return rows.map(movedEvents.read);
}

/** Events by their keys, as far as they match the filter. Their positions are not those of this cell's stream. */
export async function findEventsByKey(
  em: Em,
  keys: readonly MovedEvent[],
  { types, scope }: Pick<EventFilter, 'types' | 'scope'>,
): Promise<PositionedEvent[]> {
  const where = new Conditions(
    ['account_id = any($1::text[])', 'event_id = any($2::uuid[])'],
    [[...new Set(keys.map(({ accountId }) => accountId))], keys.map(({ eventId }) => eventId)],
  );
  if (types.length > 0) where.add((p) => `type = any(${p}::text[])`, types);
  addScope(where, scope, 'events.account_id');
  const rows = await query<Row>(
    em,
    `select ${events.selectList} from events where ${where}`,
    where.parameters,
  );
  return rows.map(events.read);
}

/** The first `limit` events with after < position <= upTo that match the filter. */
export async function findEvents(
  em: Em,
  after: bigint,
  upTo: bigint,
  { types, accountId, scope }: EventFilter,
  limit: number,
): Promise<PositionedEvent[]> {
  const where = new Conditions(['position > $1', 'position <= $2'], [after, upTo, limit]);
  if (types.length > 0) where.add((p) => `type = any(${p}::text[])`, types);
  if (accountId) where.add((p) => `account_id = ${p}`, accountId);
  addScope(where, scope, 'events.account_id');
  const rows = await query<Row>(
    em,
    `select ${events.selectList} from events where ${where} order by position limit $3`,
    where.parameters,
  );
  return rows.map(events.read);
}
