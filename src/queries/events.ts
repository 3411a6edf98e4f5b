/** Events that have their positions. */
import type { EventType } from '../ledger/event.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { events, type PositionedEvent } from '../store/tables/events.ts';
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

/** The id of the event at a position; null: there is none. */
export async function findEventIdAt(em: Em, position: bigint): Promise<string | null> {
  const [row] = await query<{ event_id: string }>(
    em,
    'select event_id from events where position = $1',
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
