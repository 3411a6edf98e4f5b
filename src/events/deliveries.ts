/**
 * The deliverer's SQL. Replicas share deliveries by leases: a claim commits a `due_at` after the end of the
 * longest attempt, and holds no lock. The delivery of a replica that is killed is due again then.
 */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { type Delivery, joinedDeliveries } from '../store/tables/deliveries.ts';

/**
 * To be called before a replica with an endpoint serves calls. The first call marks where deliveries begin:
 * older events are not delivered, and all later ones are, even those of times without an endpoint.
 */
export async function beginDeliveries(em: Em): Promise<void> {
  await query(
    em,
    `update event_cursors set position = (select position from event_cursors where name = $2)
     where name = $1 and position is null`,
    ['enqueued', 'assigned'],
  );
}

/** Inserts deliveries of up to `limit` events that have none yet and returns their number. */
export async function enqueueDeliveries(em: Em, now: number, limit: number): Promise<number> {
  const [cursors] = await query<{ ahead: boolean }>(
    em,
    `select assigned.position is distinct from enqueued.position as ahead
     from event_cursors assigned cross join event_cursors enqueued
     where assigned.name = $1 and enqueued.name = $2`,
    ['assigned', 'enqueued'],
  );
  if (!cursors?.ahead) return 0;
  return await em.transactional(async (em) => {
    const [cursor] = await query<{ position: string }>(
      em,
      `select position from event_cursors where name = $1 for update skip locked`,
      ['enqueued'],
    );
    if (!cursor) return 0;
    const [inserted] = await query<{ count: number }>(
      em,
      `with inserted as (
         insert into deliveries
           (account_id, event_id, position, state, attempts, due_at, last_error)
         select account_id, event_id, position, 'PENDING', 0, ${fromMillis('$2')}, ''
         from events where position > $1 order by position limit $3
         returning position
       ), advanced as (
         update event_cursors set position = coalesce((select max(position) from inserted), position)
         where name = $4
       )
       select count(*)::int as count from inserted`,
      [cursor.position, now, limit, 'enqueued'],
    );
    return inserted?.count ?? 0;
  });
}

/** Claims up to `limit` deliveries that are due, for `leaseMs`, and counts an attempt of each. */
export async function claimDeliveries(
  em: Em,
  now: number,
  leaseMs: number,
  limit: number,
): Promise<Delivery[]> {
  const rows = await query<Row>(
    em,
    `with due as (
       select account_id, event_id from deliveries
       where due_at <= ${fromMillis('$1')} order by due_at limit $3 for update skip locked
     ), d as (
       update deliveries set attempts = attempts + 1, last_attempt_at = ${fromMillis('$1')},
         due_at = ${fromMillis('($1::float8 + $2::float8)')}
       from due
       where deliveries.account_id = due.account_id and deliveries.event_id = due.event_id
       returning deliveries.*
     )
     select ${joinedDeliveries.selectList} from d join events e using (account_id, event_id)`,
    [now, leaseMs, limit],
  );
  return rows.map(joinedDeliveries.read);
}

/** The result of an attempt. PENDING: the delivery is attempted again. */
export type AttemptResult =
  | { readonly state: 'DELIVERED' }
  | { readonly state: 'DEAD'; readonly error: string }
  | { readonly state: 'PENDING'; readonly error: string; readonly dueAt: number };

/** Stores the result of a claimed attempt, unless the lease has ended and another replica has claimed it. */
export async function endAttempt(
  em: Em,
  { event, attempts }: Delivery,
  result: AttemptResult,
  now: number,
): Promise<void> {
  const isPending = result.state === 'PENDING';
  await query(
    em,
    `update deliveries set state = $4, last_error = $5, due_at = ${fromMillis('$6')},
       ended_at = ${fromMillis('$7')}
     where account_id = $1 and event_id = $2 and state = 'PENDING' and attempts = $3`,
    [
      event.accountId,
      event.eventId,
      attempts,
      result.state,
      result.state === 'DELIVERED' ? '' : result.error,
      isPending ? result.dueAt : null,
      isPending ? null : now,
    ],
  );
}

/** Undoes a claim: the attempt was not completed because this replica stops. */
export async function releaseClaim(
  em: Em,
  { event, attempts }: Delivery,
  now: number,
): Promise<void> {
  await query(
    em,
    `update deliveries set attempts = attempts - 1, due_at = ${fromMillis('$4')}
     where account_id = $1 and event_id = $2 and state = 'PENDING' and attempts = $3`,
    [event.accountId, event.eventId, attempts, now],
  );
}
