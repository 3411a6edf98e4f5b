/** Reservations of all accounts, oldest first. */
import type { Reservation } from '../ledger/reservation.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { RESERVATION_STATE_CODES } from '../store/tables/codes.ts';
import { reservations } from '../store/tables/reservations.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

/** The place of a reservation among all of its state. */
export type AgePosition = { readonly createdAt: number; readonly reservationId: string };

export type StuckQuery = {
  readonly state: 'ACTIVE' | 'EXPIRED';
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** Only those that were made by then. Null: whenever. */
  readonly madeBy: number | null;
  /** Only those whose expiry is by then. Null: whenever. */
  readonly expiringBy: number | null;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
  /** Only those of this caller. Null: of any. */
  readonly caller: string | null;
  /** Null: from the oldest. */
  readonly after: AgePosition | null;
  readonly limit: number;
};

/** `next`: where the next page begins; null: there is none. */
export type StuckPage = {
  readonly reservations: readonly Reservation[];
  readonly next: AgePosition | null;
};

/** Rows that one page passes over. */
const PASSED_MAX = 20_000;

/** In one snapshot: where some end between the two reads, the page would seem to pass over more than it has. */
export const findStuckReservations = (em: Em, page: StuckQuery): Promise<StuckPage> =>
  em.transactional((snapshot) => findPage(snapshot, page), {
    isolationLevel: IsolationLevel.REPEATABLE_READ,
    readOnly: true,
  });

async function findPage(em: Em, page: StuckQuery): Promise<StuckPage> {
  const { expiringBy, scope, caller, limit } = page;
  const range = rangeOf(page);
  const where = new Conditions(['true'], range.parameters);
  if (expiringBy !== null) where.add((p) => `r.expires_at <= ${fromMillis(p)}`, expiringBy);
  if (caller !== null) where.add((p) => `r.caller = ${p}`, caller);
  addScope(where, scope, 'r.account_id');
  const rows = await query<Row>(
    em,
    `select ${reservations.selectListOf('r')} from (
       select * from reservations r where ${range} order by created_at, reservation_id limit ${PASSED_MAX}
     ) r where ${where} order by r.created_at, r.reservation_id limit ${limit + 1}`,
    where.parameters,
  );
  const found = rows.map(reservations.read);
  const shown = found.slice(0, limit);
  if (found.length > limit) return { reservations: shown, next: shown.at(-1) ?? null };
  const [passed] = await query<{ created_at: number; reservation_id: string }>(
    em,
    `select ${millis('created_at')}, reservation_id from reservations r where ${range}
     order by r.created_at, r.reservation_id offset ${PASSED_MAX - 1} limit 1`,
    range.parameters,
  );
  const next = passed && { createdAt: passed.created_at, reservationId: passed.reservation_id };
  return { reservations: shown, next: next ?? null };
}

/** The rows that the index gives in the order of their age. */
function rangeOf({ state, accountId, madeBy, after }: StuckQuery): Conditions {
  const where = new Conditions([`r.state = ${RESERVATION_STATE_CODES[state]}`], []);
  if (accountId) where.add((p) => `r.account_id = ${p}`, accountId);
  if (madeBy !== null) where.add((p) => `r.created_at <= ${fromMillis(p)}`, madeBy);
  if (after !== null) {
    where.add((p) => `r.created_at >= ${fromMillis(p)}`, after.createdAt);
    const made = `$${where.parameters.length}`;
    where.add(
      (p) => `(r.created_at, r.reservation_id) > (${fromMillis(made)}, ${p}::uuid)`,
      after.reservationId,
    );
  }
  return where;
}
