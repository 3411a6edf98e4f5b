/** Deliveries of events to the webhook endpoint. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { type Delivery, type DeliveryState, joinedDeliveries } from '../store/tables/deliveries.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export type DeliveryFilter = {
  /** Null: any. */
  readonly state: DeliveryState | null;
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** Deliveries of events before a position, newest first; from the newest if it is null. */
export async function findDeliveries(
  em: Em,
  { state, accountId, scope }: DeliveryFilter,
  beforePosition: bigint | null,
  limit: number,
): Promise<Delivery[]> {
  const where = new Conditions(['true'], [limit]);
  if (beforePosition !== null) where.add((p) => `d.position < ${p}`, beforePosition);
  if (state) where.add((p) => `d.state = ${p}`, state);
  if (accountId) where.add((p) => `d.account_id = ${p}`, accountId);
  addScope(where, scope, 'd.account_id');
  const rows = await query<Row>(
    em,
    `select ${joinedDeliveries.selectList} from deliveries d join events e using (account_id, event_id)
     where ${where} order by d.position desc limit $1`,
    where.parameters,
  );
  return rows.map(joinedDeliveries.read);
}
