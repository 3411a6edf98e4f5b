/** Events in the one order they can be followed in: giving them positions, and reading by position. */

import type { EventType } from '../ledger/event.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { events, type PositionedEvent } from './tables/events.ts';

/** The newest position there is; 0 before the first. */
export async function newestPosition(em: Em): Promise<bigint> {
  const [row] = await query<{ position: string }>(
    em,
    `select position from event_cursors where name = $1`,
    ['assigned'],
  );
  return BigInt(row?.position ?? 0);
}

/** Whether committed events wait for their position. */
export async function eventsWait(em: Em): Promise<boolean> {
  const rows = await query(
    em,
    `select 1 from events where position is null order by account_id, seq limit $1`,
    [1],
  );
  return rows.length > 0;
}

export type Assigned = { readonly newest: bigint; readonly count: number };

/**
 * Gives up to `limit` committed events the next positions. Null where another replica is at it.
 *
 * The cursor's row is locked until the commit, so positions become visible in their order and without
 * gaps: whoever has seen one has seen, or can read, all below it. The events are looked for only once
 * the lock is held, by a statement of its own: an older snapshot could still show as waiting what the
 * replica before has numbered.
 *
 * An account's events keep the order of their seq: its later ones are never visible before its earlier
 * ones, and are taken after them. Within a batch accounts mix by time, as far as that order allows.
 */
export async function assignPositions(em: Em, limit: number): Promise<Assigned | null> {
  return await em.transactional(async (em) => {
    const [cursor] = await query<{ position: string }>(
      em,
      `select position from event_cursors where name = $1 for update skip locked`,
      ['assigned'],
    );
    if (!cursor) return null;
    const [given] = await query<{ count: number }>(
      em,
      `with waiting as (
         select account_id, event_id,
           $1::bigint + row_number() over (order by latest, account_id, seq) as position
         from (
           select account_id, event_id, seq,
             max(at) over (partition by account_id order by seq) as latest
           from (
             select account_id, event_id, seq, at from events
             where position is null order by account_id, seq limit $2
           ) first
         ) timed
       ), given as (
         update events set position = waiting.position
         from waiting
         where events.account_id = waiting.account_id and events.event_id = waiting.event_id
         returning 1
       )
       select count(*)::int as count from given`,
      [cursor.position, limit],
    );
    const count = given?.count ?? 0;
    await query(em, `update event_cursors set position = position + $2 where name = $1`, [
      'assigned',
      count,
    ]);
    return { newest: BigInt(cursor.position) + BigInt(count), count };
  });
}

export type EventFilter = {
  /** Empty: all. */
  readonly types: readonly EventType[];
  /** Empty: of all accounts. */
  readonly accountId: string;
};

/** The first `limit` events with `after < position <= upTo` that pass the filter. */
export async function readEvents(
  em: Em,
  after: bigint,
  upTo: bigint,
  { types, accountId }: EventFilter,
  limit: number,
): Promise<PositionedEvent[]> {
  const conditions = ['e.position > $1', 'e.position <= $2'];
  const parameters: unknown[] = [after, upTo, limit];
  const where = (condition: (place: string) => string, parameter: unknown) => {
    parameters.push(parameter);
    conditions.push(condition(`$${parameters.length}`));
  };
  if (types.length > 0) where((place) => `e.type = any(${place}::text[])`, types);
  if (accountId) where((place) => `e.account_id = ${place}`, accountId);
  const rows = await query<Row>(
    em,
    `select ${events.selectListOf('e')} from events e
     where ${conditions.join(' and ')} order by e.position limit $3`,
    parameters,
  );
  return rows.map(events.read);
}
