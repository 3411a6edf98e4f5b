/** Pages of accounts, grants and reservations, each by its key: a page costs the same wherever it is. */

import type { Account } from '../ledger/account.ts';
import type { Grant } from '../ledger/grant.ts';
import { heldCredits, type Reservation, type ReservationState } from '../ledger/reservation.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { accounts } from '../store/tables/accounts.ts';
import { grants } from '../store/tables/grants.ts';
import { reservations } from '../store/tables/reservations.ts';

/** Accounts after `afterId`, ordered by id; of one plan unless `planId` is empty. */
export async function listAccounts(
  em: Em,
  planId: string,
  afterId: string,
  limit: number,
): Promise<Account[]> {
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts
     where account_id > $1 and ($2 = '' or plan_id = $2) order by account_id limit $3`,
    [afterId, planId, limit],
  );
  return rows.map(accounts.read);
}

/** Grants of an account below `beforeId`, newest first; from the newest where it is null. */
export async function listGrants(
  em: Em,
  accountId: string,
  beforeId: bigint | null,
  limit: number,
): Promise<Grant[]> {
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants
     where account_id = $1 and ($2::bigint is null or grant_id < $2) order by grant_id desc limit $3`,
    [accountId, beforeId, limit],
  );
  return rows.map(grants.read);
}

/**
 * Reservations of an account before `beforeId`, newest first; from the newest where it is null. One
 * that is past its expiry at `now` counts as expired, whether or not that was written down yet.
 */
export async function listReservations(
  em: Em,
  accountId: string,
  states: readonly ReservationState[],
  now: number,
  beforeId: string | null,
  limit: number,
): Promise<Reservation[]> {
  const state = `case when state = 'ACTIVE' and expires_at <= ${fromMillis('$2')}
    then 'EXPIRED' else state end`;
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     where account_id = $1 and ($3::uuid is null or reservation_id < $3)
       and (cardinality($4::text[]) = 0 or ${state} = any($4::text[]))
     order by reservation_id desc limit $5`,
    [accountId, now, beforeId, states, limit],
  );
  return rows.map((row) => asOf(reservations.read(row), now));
}

/** The reservation as it is at `now`: past its expiry it holds nothing any more. */
export function asOf(reservation: Reservation, now: number): Reservation {
  if (reservation.state !== 'ACTIVE' || reservation.expiresAt > now) return reservation;
  return {
    ...reservation,
    state: 'EXPIRED',
    returned: reservation.returned + heldCredits(reservation),
    allocations: [],
    endedAt: reservation.expiresAt,
  };
}
