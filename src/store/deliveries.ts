/**
 * Deliveries of events to the webhook endpoint. Replicas share them by leases: a claim moves `due_at`
 * behind the time an attempt can take, in a statement of its own, and no lock outlives it. A replica
 * that is killed leaves a delivery that is due again when its lease is over.
 */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { type DeliveryState, deliveries } from './tables/deliveries.ts';
import { events, type PositionedEvent } from './tables/events.ts';

export type Delivery = ReturnType<typeof deliveries.read> & { readonly event: PositionedEvent };

const selectList = `${events.selectListOf('e')}, ${deliveries.selectListOf('d')}`;

const toDelivery = (row: Row): Delivery => ({ ...deliveries.read(row), event: events.read(row) });

/**
 * Makes deliveries of up to `limit` events that have none yet; answers how many. What happened before
 * an endpoint was configured for the first time is not delivered; from then on everything is, also
 * what happens while none is configured.
 */
export async function enqueueDeliveries(em: Em, now: number, limit: number): Promise<number> {
  const [ahead] = await query<{ ahead: boolean }>(
    em,
    `select assigned.position is distinct from enqueued.position as ahead
     from event_cursors assigned cross join event_cursors enqueued
     where assigned.name = $1 and enqueued.name = $2`,
    ['assigned', 'enqueued'],
  );
  if (!ahead?.ahead) return 0;
  return await em.transactional(async (em) => {
    const [cursor] = await query<{ position: string | null }>(
      em,
      `select position from event_cursors where name = $1 for update skip locked`,
      ['enqueued'],
    );
    if (!cursor) return 0;
    if (cursor.position === null) {
      await query(
        em,
        `update event_cursors set position =
           (select position from event_cursors where name = $2) where name = $1`,
        ['enqueued', 'assigned'],
      );
      return 0;
    }
    const [made] = await query<{ count: number }>(
      em,
      `with made as (
         insert into deliveries
           (account_id, event_id, position, state, attempts, due_at, last_error)
         select account_id, event_id, position, 'PENDING', 0, ${fromMillis('$2')}, ''
         from events where position > $1 order by position limit $3
         returning position
       ), moved as (
         update event_cursors set position = coalesce((select max(position) from made), position)
         where name = $4
       )
       select count(*)::int as count from made`,
      [cursor.position, now, limit, 'enqueued'],
    );
    return made?.count ?? 0;
  });
}

/** Claims up to `limit` deliveries that are due, for `leaseMs`; an attempt of each is counted. */
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
     select ${selectList} from d join events e using (account_id, event_id)`,
    [now, leaseMs, limit],
  );
  return rows.map(toDelivery);
}

/** What came of an attempt. */
export type Ended =
  | { readonly state: 'DELIVERED' }
  | { readonly state: 'DEAD'; readonly error: string }
  /** To be attempted again. */
  | { readonly state: 'PENDING'; readonly error: string; readonly dueAt: number };

/** Writes down what came of a claimed attempt, unless it was taken over meanwhile. */
export async function endAttempt(
  em: Em,
  { event, attempts }: Delivery,
  ended: Ended,
  now: number,
): Promise<void> {
  const pending = ended.state === 'PENDING';
  await query(
    em,
    `update deliveries set state = $4, last_error = $5, due_at = ${fromMillis('$6')},
       ended_at = ${fromMillis('$7')}
     where account_id = $1 and event_id = $2 and state = 'PENDING' and attempts = $3`,
    [
      event.accountId,
      event.eventId,
      attempts,
      ended.state,
      ended.state === 'DELIVERED' ? '' : ended.error,
      pending ? ended.dueAt : null,
      pending ? null : now,
    ],
  );
}

/** Gives a claim back, as if it had never been: nothing came of the attempt because this replica stops. */
export async function giveBack(em: Em, { event, attempts }: Delivery, now: number): Promise<void> {
  await query(
    em,
    `update deliveries set attempts = attempts - 1, due_at = ${fromMillis('$4')}
     where account_id = $1 and event_id = $2 and state = 'PENDING' and attempts = $3`,
    [event.accountId, event.eventId, attempts, now],
  );
}

export type DeliveryFilter = {
  /** Null: any. */
  readonly state: DeliveryState | null;
  /** Empty: of all accounts. */
  readonly accountId: string;
};

/** Deliveries of events below a position, newest first; from the newest where it is null. */
export async function listDeliveries(
  em: Em,
  filter: DeliveryFilter,
  below: bigint | null,
  limit: number,
): Promise<Delivery[]> {
  const conditions = ['true'];
  const parameters: unknown[] = [limit];
  const where = (condition: (place: string) => string, parameter: unknown) => {
    parameters.push(parameter);
    conditions.push(condition(`$${parameters.length}`));
  };
  if (below !== null) where((place) => `d.position < ${place}`, below);
  if (filter.state) where((place) => `d.state = ${place}`, filter.state);
  if (filter.accountId) where((place) => `d.account_id = ${place}`, filter.accountId);
  const rows = await query<Row>(
    em,
    `select ${selectList} from deliveries d join events e using (account_id, event_id)
     where ${conditions.join(' and ')} order by d.position desc limit $1`,
    parameters,
  );
  return rows.map(toDelivery);
}

/** Makes a delivery due now; null if there is no such delivery. */
export async function replayDelivery(
  em: Em,
  accountId: string,
  eventId: string,
  now: number,
): Promise<Delivery | null> {
  const [row] = await query<Row>(
    em,
    `with d as (
       update deliveries set state = 'PENDING', due_at = ${fromMillis('$3')}, ended_at = null,
         attempts = case when state = 'PENDING' then attempts else 0 end
       where account_id = $1 and event_id = $2 returning *
     )
     select ${selectList} from d join events e using (account_id, event_id)`,
    [accountId, eventId, now],
  );
  return row ? toDelivery(row) : null;
}

/** Makes up to `limit` dead deliveries due now, those of the oldest events first; answers how many. */
export async function replayDead(
  em: Em,
  accountId: string,
  now: number,
  limit: number,
): Promise<number> {
  const ofAccount = accountId ? 'and account_id = $3' : '';
  const rows = await query(
    em,
    `with dead as (
       select account_id, event_id from deliveries
       where state = 'DEAD' ${ofAccount} order by position limit $2 for update skip locked
     )
     update deliveries set state = 'PENDING', attempts = 0, due_at = ${fromMillis('$1')},
       ended_at = null
     from dead
     where deliveries.account_id = dead.account_id and deliveries.event_id = dead.event_id
     returning 1`,
    [now, limit, ...(accountId ? [accountId] : [])],
  );
  return rows.length;
}
