/** What was decided in shadow mode, by account, the oldest first. */

import { asOf, type Reservation } from '../ledger/reservation.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import {
  type StoredShadowDecision,
  shadowDecisions,
  shadowReservations,
} from '../store/tables/shadows.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export type ShadowDecisionFilter = {
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** At or after this instant; null: from the first on. */
  readonly from: number | null;
  /** Before this instant; null: to the newest. */
  readonly to: number | null;
  /** Null: of all callers. */
  readonly caller: string | null;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** Up to `limit` decisions after one. */
export async function findShadowDecisions(
  em: Em,
  { accountId, from, to, caller, scope }: ShadowDecisionFilter,
  after: { readonly accountId: string; readonly seq: bigint } | null,
  limit: number,
): Promise<readonly StoredShadowDecision[]> {
  const where = new Conditions(
    ['(d.account_id, d.seq) > ($1, $2::bigint)'],
    [after?.accountId ?? '', after?.seq ?? 0n],
  );
  if (accountId) where.add((p) => `d.account_id = ${p}`, accountId);
  if (from !== null) where.add((p) => `d.at >= ${fromMillis(p)}`, from);
  if (to !== null) where.add((p) => `d.at < ${fromMillis(p)}`, to);
  if (caller !== null) where.add((p) => `d.caller = ${p}`, caller);
  addScope(where, scope, 'd.account_id');
  const rows = await query<Row>(
    em,
    `select ${shadowDecisions.selectListOf('d')} from shadow_decisions d
     where ${where} order by d.account_id, d.seq limit ${where.parameter(limit)}`,
    where.parameters,
  );
  return rows.map(shadowDecisions.read);
}

/** A job that was reserved in shadow mode, as it is at `now`; null: there is none. */
export async function findShadowReservation(
  em: Em,
  accountId: string,
  reservationId: string,
  now: number,
): Promise<Reservation | null> {
  const [row] = await query<Row>(
    em,
    `select ${shadowReservations.selectList} from shadow_reservations
     where account_id = $1 and reservation_id = $2::uuid`,
    [accountId, reservationId],
  );
  return row ? asOf(shadowReservations.read(row), now) : null;
}
