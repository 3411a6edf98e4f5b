/** Deliveries that an operator has sent again. */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { Conditions } from '../queries/conditions.ts';
import { addScope } from '../queries/scope-condition.ts';
import { type Delivery, joinedDeliveries } from '../store/tables/deliveries.ts';

/** Makes a delivery due now. Null if there is no such delivery. */
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
     select ${joinedDeliveries.selectList} from d join events e using (account_id, event_id)`,
    [accountId, eventId, now],
  );
  return row ? joinedDeliveries.read(row) : null;
}

export type DeliveriesOf = {
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** Makes up to `limit` dead deliveries due now, oldest events first, and returns their number. */
export async function replayDeadDeliveries(
  em: Em,
  { accountId, scope }: DeliveriesOf,
  now: number,
  limit: number,
): Promise<number> {
  const where = new Conditions([`state = 'DEAD'`], [now, limit]);
  if (accountId) where.add((p) => `account_id = ${p}`, accountId);
  addScope(where, scope, 'deliveries.account_id');
  const rows = await query(
    em,
    `with dead as (
       select account_id, event_id from deliveries
       where ${where} order by position limit $2 for update skip locked
     )
     update deliveries set state = 'PENDING', attempts = 0, due_at = ${fromMillis('$1')},
       ended_at = null
     from dead
     where deliveries.account_id = dead.account_id and deliveries.event_id = dead.event_id
     returning 1`,
    where.parameters,
  );
  return rows.length;
}
