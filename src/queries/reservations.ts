/** Reservations, one or page by page, as they are at an instant. */
import type { Archive } from '../archive/archive.ts';
import { entryOf } from '../archive/entry-row.ts';
import { type FileRow, uuidBytes } from '../archive/parquet-columns.ts';
import { reservationFromEntries } from '../ledger/ended-reservation.ts';
import { asOf, type Reservation, type ReservationState } from '../ledger/reservation.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { loadReservations } from '../store/load.ts';
import { loadEndedReservations } from '../store/load-ended-reservations.ts';
import { KIND_CODES, kindCodes, RESERVATION_STATE_CODES } from '../store/tables/codes.ts';
import { reservations } from '../store/tables/reservations.ts';

export async function findReservation(
  em: Em,
  archive: Archive,
  accountId: string,
  reservationId: string,
  now: number,
): Promise<Reservation | null> {
  const [found] = await findByIds(em, archive, accountId, [reservationId], now);
  return found ?? null;
}

/** Newest first. */
export type ReservationPage = {
  readonly reservations: readonly Reservation[];
  /** The next page has those that were made before this entry. Null: there are no more. */
  readonly nextBeforeSeq: bigint | null;
};

export type ReservationQuery = {
  readonly accountId: string;
  /** Empty: all. */
  readonly states: readonly ReservationState[];
  /** Null: whoever reserved. */
  readonly caller: string | null;
  /** A reservation that is past its expiry then is EXPIRED. */
  readonly now: number;
  /** The page has reservations that were made before this entry. */
  readonly beforeSeq: bigint;
  readonly limit: number;
};

export async function findReservations(
  em: Em,
  archive: Archive,
  page: ReservationQuery,
): Promise<ReservationPage> {
  const { states } = page;
  const areStored = states.every((state) => state in RESERVATION_STATE_CODES);
  return states.length > 0 && areStored
    ? await findStored(em, page)
    : await findAny(em, archive, page);
}

/** Those that have rows. */
async function findStored(
  em: Em,
  { accountId, states, caller, now, beforeSeq, limit }: ReservationQuery,
): Promise<ReservationPage> {
  const { ACTIVE, EXPIRED } = RESERVATION_STATE_CODES;
  const state = `case when state = ${ACTIVE} and expires_at <= ${fromMillis('$2')} then ${EXPIRED} else state end`;
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     where account_id = $1 and entry_seq < $3 and ${state} = any($4::smallint[])
       and ($6::text is null or caller = $6)
     order by entry_seq desc limit $5`,
    [
      accountId,
      now,
      beforeSeq,
      states.map((name) => RESERVATION_STATE_CODES[name as 'ACTIVE' | 'EXPIRED']),
      limit + 1,
      caller,
    ],
  );
  const found = rows.map((row) => asOf(reservations.read(row), now));
  return toPage(found, limit, 0n);
}

/** Entries that one query passes over, and one page: where few are wanted a page has fewer than `limit`. */
const QUERY_ENTRIES = 5_000n;
const PAGE_ENTRIES = 20_000n;
/** Reservations that one query reads at least where a state is asked for, which few of them may have. */
const FILTERED_MIN = 500;

/** Looks through the entries that made reservations, backwards. */
async function findAny(
  em: Em,
  archive: Archive,
  { accountId, states, caller, now, beforeSeq, limit }: ReservationQuery,
): Promise<ReservationPage> {
  const found: Reservation[] = [];
  let before = beforeSeq;
  while (before > beforeSeq - PAGE_ENTRIES && before > 1n && found.length <= limit) {
    const from = before - QUERY_ENTRIES;
    const missing = limit + 1 - found.length;
    const count = states.length > 0 ? Math.max(missing, FILTERED_MIN) : missing;
    const made = await findReserves(em, archive, { accountId, caller }, from, before, count);
    const ids = made.map(({ reservation_id }) => reservation_id);
    for (const reservation of await findByIds(em, archive, accountId, ids, now))
      if (states.length === 0 || states.includes(reservation.state)) found.push(reservation);
    before = made.length === count ? BigInt(made.at(-1)?.seq ?? 0) : from;
  }
  return toPage(found, limit, before);
}

/** All reservations that were made before the page before, and at `searchedTo` or later, are among the `found`. */
function toPage(found: readonly Reservation[], limit: number, searchedTo: bigint): ReservationPage {
  const page = found.slice(0, limit);
  if (found.length > limit)
    return { reservations: page, nextBeforeSeq: page.at(-1)?.entrySeq ?? null };
  return { reservations: page, nextBeforeSeq: searchedTo > 1n ? searchedTo : null };
}

type Made = { readonly seq: string; readonly reservation_id: string };

/** The newest entries with from <= seq < before that made reservations. */
async function findReserves(
  em: Em,
  archive: Archive,
  { accountId, caller }: Pick<ReservationQuery, 'accountId' | 'caller'>,
  from: bigint,
  before: bigint,
  limit: number,
): Promise<readonly Made[]> {
  const stored = await query<Made>(
    em,
    `select seq, reservation_id from entries
     where account_id = $1 and seq >= $2 and seq < $3 and kind = ${kindCodes('RESERVE')}
       and ($5::text is null or caller = $5)
     order by seq desc limit $4`,
    [accountId, from, before, limit, caller],
  );
  const border = await archive.borderOf(em, accountId);
  if (!border || from > border.seq) return stored;
  const range = { accountId, after: from - 1n, upTo: before - 1n };
  const where = {
    columns: ['kind', 'caller'],
    matches: (row: FileRow) =>
      row['kind'] === KIND_CODES.RESERVE && (caller === null || row['caller'] === caller),
  };
  const found = stored.filter(({ seq }) => BigInt(seq) > border.seq);
  const options = { columns: ['seq', 'reservation_id'], where, newestFirst: true };
  for await (const rows of archive.pages(em, border, range, options)) {
    found.push(...(rows as unknown as readonly Made[]));
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

/** In the order of the ids, without those that do not exist. */
async function findByIds(
  em: Em,
  archive: Archive,
  accountId: string,
  ids: readonly string[],
  now: number,
): Promise<readonly Reservation[]> {
  const keys = ids.map((key) => ({ accountId, key }));
  const stored = await loadReservations(em, keys);
  const known = new Map<string, Reservation>(
    stored.map((row) => [row.reservationId, asOf(row, now)]),
  );
  const missing = () => keys.filter(({ key }) => !known.has(key));
  for (const ended of await loadEndedReservations(em, missing()))
    known.set(ended.reservationId, ended);
  for (const ended of await findArchived(em, archive, accountId, missing()))
    known.set(ended.reservationId, ended);
  return ids.flatMap((id) => known.get(id) ?? []);
}

/** Those of which all entries are archived. */
async function findArchived(
  em: Em,
  archive: Archive,
  accountId: string,
  keys: readonly { readonly key: string }[],
): Promise<readonly Reservation[]> {
  if (keys.length === 0 || !(await archive.borderOf(em, accountId))) return [];
  const ids = keys.map(({ key }) => uuidBytes(key));
  const rows = await archive.find(em, 'reservation_id', ids, accountId);
  const entries = rows.map(entryOf).filter(({ kind }) => kind !== 'REFUND');
  return [...Map.groupBy(entries, ({ reservationId }) => reservationId).values()].flatMap((of) =>
    of[0]?.kind === 'RESERVE' ? [reservationFromEntries(of)] : [],
  );
}
