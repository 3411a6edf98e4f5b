/** What only the database knows of the whole ledger, for metrics. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { RESERVATION_STATE_CODES } from '../store/tables/codes.ts';

/** Instants are in epoch milliseconds. Counts are exact up to the maximum that was asked for, and no higher. */
export type LedgerFigures = {
  readonly activeReservations: number;
  /** When the oldest active reservation was made; null: there is none. */
  readonly oldestReservationAt: number | null;
  /** The earliest instant at which something falls due on an account, past or not; null: on none. */
  readonly nextDueAt: number | null;
  /** When the oldest event without a position was written, of the first ones; null: all have one. */
  readonly oldestEventAt: number | null;
  readonly pendingDeliveries: number;
  readonly deadDeliveries: number;
  readonly pendingPurchases: number;
  /** What the newest audit found, and when one last found nothing; null: there is none. */
  readonly discrepancies: number | null;
  readonly verifiedAt: number | null;
};

type Row = { readonly [column: string]: number | string | null };

/**
 * Each part reads one end of an index, or counts `$1` of its rows at most: the size of the ledger does not count. What
 * is selected is never named as its column: `order by` would sort by what is selected.
 */
export const LEDGER_FIGURES_SQL = `
  select
    (select count(*) from (
       select from reservations where state = ${RESERVATION_STATE_CODES.ACTIVE} order by created_at limit $1
     ) r) as active_reservations,
    (select ${millis('created_at', 'ms')} from reservations
     where state = ${RESERVATION_STATE_CODES.ACTIVE} order by created_at limit 1) as oldest_reservation_at,
    (select ${millis('due_at', 'ms')} from accounts
     where due_at is not null order by due_at limit 1) as next_due_at,
    (select ${millis('min(at)', 'ms')} from (
       select at from events where position is null order by account_id, seq limit $1
     ) e) as oldest_event_at,
    (select count(*) from (
       select from deliveries where state = 'PENDING' order by position limit $1
     ) d) as pending_deliveries,
    (select count(*) from (
       select from deliveries where state = 'DEAD' order by position limit $1
     ) d) as dead_deliveries,
    (select count(*) from (
       select from purchases where next_check_at is not null order by next_check_at limit $1
     ) p) as pending_purchases,
    (select discrepancies from verify_runs order by finished_at desc limit 1) as discrepancies,
    (select ${millis('finished_at', 'ms')} from verify_runs
     where discrepancies = 0 order by finished_at desc limit 1) as verified_at`;

/**
 * Of its transaction. A query that takes longer is given up: a database in trouble is left alone. The planner could
 * prefer to read all rows of a condition and to sort them, where its statistics say that there are few.
 */
export const LEDGER_FIGURES_SETTINGS = `
  select set_config('statement_timeout', '2s', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true)`;

export async function readLedgerFigures(em: Em, countedMax: number): Promise<LedgerFigures> {
  const [, rows] = await em.transactional(async (em) =>
    Promise.all([
      query(em, LEDGER_FIGURES_SETTINGS, []),
      query<Row>(em, LEDGER_FIGURES_SQL, [countedMax]),
    ]),
  );
  const figures = rows[0] ?? {};
  const number = (name: string) => (figures[name] === null ? null : Number(figures[name]));
  const count = (name: string) => Number(figures[name]);
  return {
    activeReservations: count('active_reservations'),
    oldestReservationAt: number('oldest_reservation_at'),
    nextDueAt: number('next_due_at'),
    oldestEventAt: number('oldest_event_at'),
    pendingDeliveries: count('pending_deliveries'),
    deadDeliveries: count('dead_deliveries'),
    pendingPurchases: count('pending_purchases'),
    discrepancies: number('discrepancies'),
    verifiedAt: number('verified_at'),
  };
}
