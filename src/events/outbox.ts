/** The outbox sequencer's SQL: it gives committed events their positions. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Whether committed events have no position yet. */
export async function hasUnpositionedEvents(em: Em): Promise<boolean> {
  const rows = await query(
    em,
    'select 1 from events where position is null order by account_id, seq limit $1',
    [1],
  );
  return rows.length > 0;
}

export type AssignedPositions = { readonly newest: bigint; readonly count: number };

/**
 * Gives up to `limit` committed events the next positions. Null while another replica does so.
 *
 * The cursor's row is locked until the commit, so positions become visible in order and without gaps: a
 * reader that has seen a position can read all below it. The events are selected by an SQL statement of
 * its own after the lock was acquired: an older snapshot could still show events that the replica before
 * has given positions.
 *
 * The events of an account keep the order of their seq: a later one is never visible before an earlier
 * one, and never gets a lower position. Within a batch the accounts' events are merged by time, as far as
 * that order allows.
 */
export async function assignPositions(em: Em, limit: number): Promise<AssignedPositions | null> {
  return await em.transactional(async (em) => {
    const [cursor] = await query<{ position: string }>(
      em,
      'select position from event_cursors where name = $1 for update skip locked',
      ['assigned'],
    );
    if (!cursor) return null;
    const [assigned] = await query<{ count: number }>(
      em,
      `with numbered as (
         select account_id, event_id,
           $1::bigint + row_number() over (order by latest, account_id, seq) as position
         from (
           select account_id, event_id, seq,
             max(at) over (partition by account_id order by seq) as latest
           from (
             select account_id, event_id, seq, at from events
             where position is null order by account_id, seq limit $2
           ) batch
         ) timed
       ), assigned as (
         update events set position = numbered.position
         from numbered
         where events.account_id = numbered.account_id and events.event_id = numbered.event_id
         returning 1
       )
       select count(*)::int as count from assigned`,
      [cursor.position, limit],
    );
    const count = assigned?.count ?? 0;
    await query(em, 'update event_cursors set position = position + $2 where name = $1', [
      'assigned',
      count,
    ]);
    return { newest: BigInt(cursor.position) + BigInt(count), count };
  });
}
