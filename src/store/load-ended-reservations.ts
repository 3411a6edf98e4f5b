/** Reservations that have no row any more, read from their entries. */
import { reservationFromEntries } from '../ledger/ended-reservation.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { RowKey } from './load.ts';
import { kindCodes } from './tables/codes.ts';
import { shownEntries } from './tables/entries.ts';

/** Those of the reservations that were committed or released, in any order. One that has a row must not be among the keys. */
export async function loadEndedReservations(
  em: Em,
  keys: readonly RowKey<string>[],
): Promise<Reservation[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${shownEntries.selectList} from entries
     where reservation_id = any($1::uuid[]) and kind not in (${kindCodes('REFUND')})
     order by reservation_id, seq`,
    [[...new Set(keys.map(({ key }) => key))]],
  );
  const byReservation = Map.groupBy(rows.map(shownEntries.read), keyOf);
  return keys.flatMap(({ accountId, key }) => {
    const entries = byReservation.get(`${accountId} ${key}`);
    // Without its beginning, that is in the archive: nothing more is done with it.
    return entries?.[0]?.kind === 'RESERVE' ? [reservationFromEntries(entries)] : [];
  });
}

const keyOf = (entry: { readonly accountId: string; readonly reservationId: string | null }) =>
  `${entry.accountId} ${entry.reservationId}`;
