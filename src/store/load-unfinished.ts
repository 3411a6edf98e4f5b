/** What an account has unfinished: reservations that run, and purchases that are not settled. */
import type { Purchase } from '../ledger/purchase.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { RESERVATION_STATE_CODES } from './tables/codes.ts';
import { purchases } from './tables/purchases.ts';
import { reservations } from './tables/reservations.ts';

export type Unfinished = {
  readonly reservations: readonly Reservation[];
  readonly purchases: readonly Purchase[];
};

/**
 * At most `limit` of each kind and account; one more than what the tasks of the group can finish before they are
 * looked at. Of the reservations those that expire last: if these are due, all are.
 */
export async function loadUnfinished(
  em: Em,
  accountIds: ReadonlySet<string>,
  limit: number,
): Promise<Unfinished> {
  const found = await Promise.all(
    Array.from(accountIds, (accountId) =>
      Promise.all([
        query<Row>(
          em,
          `select ${reservations.selectList} from reservations
           where account_id = $1 and state = ${RESERVATION_STATE_CODES.ACTIVE}
           order by reservations.expires_at desc limit $2`,
          [accountId, limit],
        ),
        query<Row>(
          em,
          `select ${purchases.selectList} from purchases
           where account_id = $1 and state in ('PENDING', 'MISMATCHED') limit $2`,
          [accountId, limit],
        ),
      ]),
    ),
  );
  return {
    reservations: found.flatMap(([rows]) => rows.map(reservations.read)),
    purchases: found.flatMap(([, rows]) => rows.map(purchases.read)),
  };
}
