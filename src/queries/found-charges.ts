/** Charges that have an id: which entries have it, and which charge each of them belongs to. */
import type { Archive } from '../archive/archive.ts';
import { type EntryRow, rowJson } from '../archive/entry-row.ts';
import type { EntryKind } from '../ledger/entry.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { entries } from '../store/tables/entries.ts';
import { requestIdToBytes } from '../store/tables/request-id.ts';
import { findArchivedMatches } from './archived-matches.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

/** Everything under one reservation or purchase; else an entry, with its refunds and what its request wrote. */
export type ChargeKey = { readonly accountId: string } & (
  | { readonly reservationId: string }
  | { readonly purchaseId: string }
  /** seq of the entry that begins it. */
  | { readonly seq: bigint }
);

export type ChargeId = {
  readonly kind: 'traceId' | 'reservationId' | 'requestId' | 'seq' | 'reference' | 'purchaseId';
  readonly value: string;
};

export type ChargeQuery = {
  readonly id: ChargeId;
  /** Empty: of all accounts. */
  readonly accountId: string;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
  /** Only entries of this caller. Null: of any. */
  readonly caller: string | null;
};

/** A charge, and its first entry that has the id. */
export type FoundCharge = {
  readonly key: ChargeKey;
  readonly seq: bigint;
  readonly at: number;
  readonly kind: EntryKind;
  readonly caller: string;
  readonly credits: bigint;
};

/** An id that more entries have does not tell one charge from another. */
const ENTRIES_MAX = 10_000;

/** Each has an index. */
const CONDITIONS: Readonly<Record<ChargeId['kind'], (placeholder: string) => string>> = {
  traceId: (p) => `e.trace_id = ${p}::uuid`,
  reservationId: (p) => `e.reservation_id = ${p}::uuid`,
  requestId: (p) => `e.request_id = ${p} and e.method is not null`,
  seq: (p) => `e.seq = ${p}::bigint`,
  reference: (p) => `e.reference = ${p}`,
  purchaseId: (p) => `e.purchase_id = ${p}::uuid`,
};

const match = entries.pick('accountId', 'seq', 'at', 'kind', 'caller', 'credits');

/** Whether a row of entries returns credits for late usage: `content` has the time of that. */
export const returnsForLateUsageSql = (row: string): string =>
  `(${row}.kind = ${kindCodes('REINSTATE')} and ${row}.content ->> 't' is not null)`;

/** In the order of their first entries that have the id. `truncated`: more entries have it than were looked at. */
export async function findCharges(
  em: Em,
  archive: Archive,
  asked: ChargeQuery,
): Promise<{ readonly charges: readonly FoundCharge[]; readonly truncated: boolean }> {
  const stored = await selectMatches(em, asked, null);
  // After the table: what has left it meanwhile is there.
  const archived = await findArchivedMatches(em, archive, asked);
  const rows = archived.length === 0 ? stored : await mergeMatches(em, asked, archived, stored);
  const charges = new Map<string, FoundCharge>();
  for (const row of rows.slice(0, ENTRIES_MAX)) {
    const found = match.read(row);
    const key = keyOf(found.accountId, row);
    const name = JSON.stringify(Object.values(key), (_, part) => String(part));
    if (!charges.has(name)) charges.set(name, { ...found, key });
  }
  return { charges: [...charges.values()], truncated: rows.length > ENTRIES_MAX };
}

/** Archived entries that have the id come first: each of them is older than what is in the table of its account. */
async function mergeMatches(
  em: Em,
  asked: ChargeQuery,
  archived: readonly EntryRow[],
  stored: readonly Match[],
): Promise<readonly Match[]> {
  const older = await selectMatches(em, asked, archived);
  const known = new Set(older.map(nameOf));
  return [...older, ...stored.filter((row) => !known.has(nameOf(row)))].toSorted(inOrder);
}

type Match = Row & Belonging;

const nameOf = (row: Match): string => `${row['account_id']} ${row['seq']}`;

function inOrder(one: Match, other: Match): number {
  const [a, b] = [one, other].map((row) => match.read(row)) as [
    ReturnType<typeof match.read>,
    ReturnType<typeof match.read>,
  ];
  if (a.at !== b.at) return a.at - b.at;
  if (a.seq !== b.seq) return a.seq < b.seq ? -1 : 1;
  return a.accountId < b.accountId ? -1 : 1;
}

/** Of the table, or of these rows in its place. */
async function selectMatches(
  em: Em,
  { id, accountId, scope, caller }: ChargeQuery,
  rows: readonly EntryRow[] | null,
): Promise<readonly Match[]> {
  const where = new Conditions([], []);
  const value = id.kind === 'requestId' ? requestIdToBytes(id.value) : id.value;
  where.add(CONDITIONS[id.kind], value);
  if (accountId) where.add((p) => `e.account_id = ${p}`, accountId);
  if (caller !== null) where.add((p) => `e.caller = ${p}`, caller);
  addScope(where, scope, 'e.account_id');
  const json = rows && `[${rows.map(rowJson).join(',')}]`;
  const from =
    json === null
      ? ''
      : `with entries as (
           select * from json_populate_recordset(null::entries, ${where.parameter(json)}::json)
         )`;
  return await query<Match>(
    em,
    // What a request wrote after its first entry, such as the grant of a refund, belongs to that entry. What returned for
    // late usage belongs to the entry after it, which spends it.
    `${from} select ${match.selectList},
       coalesce(reservation_id, spending_reservation_id, first_reservation_id) as charged_reservation_id,
       coalesce(purchase_id, first_purchase_id) as charged_purchase_id,
       coalesce(refunded_seq, first_refunded_seq, spending_seq, first_seq, seq) as charged_seq
     from (
       select account_id, seq, at, kind, caller, credits, reservation_id, purchase_id, refunded_seq, request_id,
         method, content
       from entries e where ${where} limit ${ENTRIES_MAX + 1}
     ) e
     left join lateral (
       select f.seq as first_seq, f.reservation_id as first_reservation_id,
         f.purchase_id as first_purchase_id, f.refunded_seq as first_refunded_seq
       from entries f
       where f.account_id = e.account_id and f.request_id = e.request_id and f.method is not null
         and f.seq < e.seq
       order by f.seq desc limit 1
     ) f on e.method is null and e.request_id is not null
       and num_nonnulls(e.reservation_id, e.purchase_id, e.refunded_seq) = 0
     left join lateral (
       select s.seq as spending_seq, s.reservation_id as spending_reservation_id
       from entries s
       where ${returnsForLateUsageSql('e')} and s.account_id = e.account_id and s.seq > e.seq
         and not ${returnsForLateUsageSql('s')}
       order by s.seq limit 1
     ) s on true
     order by e.at, e.seq, e.account_id collate "C"`,
    where.parameters,
  );
}

/** What an entry belongs to. */
type Belonging = {
  readonly charged_reservation_id: string | null;
  readonly charged_purchase_id: string | null;
  readonly charged_seq: string;
};

function keyOf(
  accountId: string,
  { charged_reservation_id, charged_purchase_id, charged_seq }: Belonging,
): ChargeKey {
  if (charged_reservation_id !== null) return { accountId, reservationId: charged_reservation_id };
  if (charged_purchase_id !== null) return { accountId, purchaseId: charged_purchase_id };
  return { accountId, seq: BigInt(charged_seq) };
}
