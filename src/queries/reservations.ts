/** Reservations, one or page by page, as they are at an instant. */
import { heldCredits, type Reservation, type ReservationState } from '../ledger/reservation.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { reservations } from '../store/tables/reservations.ts';

export async function findReservation(
  em: Em,
  accountId: string,
  reservationId: string,
  now: number,
): Promise<Reservation | null> {
  const [row] = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     where account_id = $1 and reservation_id = $2`,
    [accountId, reservationId],
  );
  return row ? expiredAt(reservations.read(row), now) : null;
}

/**
 * Reservations of an account before `beforeId`, newest first; from the newest if it is null; in any state
 * if `states` is empty.
 */
export async function findReservations(
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
  return rows.map((row) => expiredAt(reservations.read(row), now));
}

/** An active reservation past its expiry is stored as EXPIRED only once a unit of work meets it. */
function expiredAt(reservation: Reservation, now: number): Reservation {
  if (reservation.state !== 'ACTIVE' || reservation.expiresAt > now) return reservation;
  return {
    ...reservation,
    state: 'EXPIRED',
    returned: reservation.returned + heldCredits(reservation),
    allocations: [],
    endedAt: reservation.expiresAt,
  };
}
