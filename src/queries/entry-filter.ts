/** Which entries of an account are asked for, and where they are looked for. */
import type { Archive } from '../archive/archive.ts';
import type { RangeOptions } from '../archive/entry-file.ts';
import { uuidBytes } from '../archive/parquet-columns.ts';
import type { Entry, EntryKind, Labels } from '../ledger/entry.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { KIND_CODES } from '../store/tables/codes.ts';
import { requestIdToBytes } from '../store/tables/request-id.ts';
import { Conditions } from './conditions.ts';

/** An entry must match all. What is empty matches every entry. */
export type EntryFilter = {
  readonly kinds: readonly EntryKind[];
  readonly operation: string;
  readonly reference: string;
  readonly reservationId: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly labels: Labels;
  /** Names of labels that the entry must have. */
  readonly labelKeys: readonly string[];
};

export const NO_FILTER: EntryFilter = {
  kinds: [],
  operation: '',
  reference: '',
  reservationId: '',
  requestId: '',
  traceId: '',
  labels: {},
  labelKeys: [],
};

/** Entries that one page looks through, at most. */
export const PASSED_MAX = 20_000n;

/**
 * Whether indexes lead to the entries that match, and there are so few of them that they can be read as a whole.
 * Otherwise entries are passed over one by one.
 */
export async function isSelective(
  em: Em,
  archive: Archive,
  accountId: string,
  filter: EntryFilter,
): Promise<boolean> {
  const where = indexed(accountId, filter);
  // Archived entries have no indexes.
  if (!where || (await archive.borderOf(em, accountId))) return false;
  const rows = await query<{ count: string }>(
    em,
    `select count(*) from (select from entries where ${where} limit ${PASSED_MAX + 1n}) e`,
    where.parameters,
  );
  return BigInt(rows[0]?.count ?? 0) <= PASSED_MAX;
}

/** The conditions that indexes serve; null if the filter has none. */
function indexed(
  accountId: string,
  { reservationId, requestId, traceId, reference }: EntryFilter,
): Conditions | null {
  const where = new Conditions(['account_id = $1'], [accountId]);
  if (reservationId) where.add((p) => `reservation_id = ${p}::uuid`, reservationId);
  if (requestId)
    where.add((p) => `seq = any(array(${seqsOfRequest(p)}))`, requestIdToBytes(requestId));
  if (traceId) where.add((p) => `trace_id = ${p}::uuid`, traceId);
  if (reference) where.add((p) => `reference = ${p}`, reference);
  return where.parameters.length > 1 ? where : null;
}

/** The first entry of a request has its method. The others follow it directly. */
const seqsOfRequest = (requestId: string): string => `
  select generate_series(first.seq, coalesce(
    (select next.seq - 1 from entries next
     where next.account_id = first.account_id and next.seq > first.seq
       and (next.method is not null or next.request_id is distinct from first.request_id)
     order by next.seq limit 1),
    (select a.seq from accounts a where a.account_id = first.account_id)))
  from entries first
  where first.account_id = $1 and first.request_id = ${requestId} and first.method is not null`;

/** The conditions that are checked entry by entry. */
function addUnindexed(where: Conditions, { kinds, operation, labels, labelKeys }: EntryFilter) {
  if (kinds.length > 0)
    where.add(
      (p) => `kind = any(${p}::smallint[])`,
      kinds.map((kind) => KIND_CODES[kind]),
    );
  if (operation)
    where.add(
      (p) => `exists (select from json_array_elements(content -> 'u') u where u ->> 0 = ${p})`,
      operation,
    );
  const stored = `(personal -> 'labels')::jsonb`;
  if (Object.keys(labels).length > 0)
    where.add((p) => `${stored} @> ${p}::jsonb`, JSON.stringify(labels));
  if (labelKeys.length > 0) where.add((p) => `${stored} ?& ${p}::text[]`, labelKeys);
}

/** Whether every entry matches. */
export const isEmpty = (filter: EntryFilter): boolean =>
  Object.values(filter).every((value) =>
    typeof value === 'object' ? Object.keys(value).length === 0 : value === '',
  );

/** The same conditions, of an archived entry. Whatever its request wrote has its id. */
export function matches(entry: Entry, filter: EntryFilter): boolean {
  const { kinds, operation, reference, reservationId, requestId, traceId } = filter;
  const { labels, usages } = entry;
  return (
    (kinds.length === 0 || kinds.includes(entry.kind)) &&
    (!operation || usages.some(({ usage }) => usage.operation === operation)) &&
    (!reference || entry.reference === reference) &&
    (!reservationId || entry.reservationId === reservationId) &&
    (!requestId || entry.requestId === requestId) &&
    (!traceId || entry.traceId === traceId) &&
    Object.entries(filter.labels).every(([name, value]) => labels[name] === value) &&
    filter.labelKeys.every((name) => Object.hasOwn(labels, name))
  );
}

/** The part of a filter that columns decide which files do not encrypt: rows that fail it are not decrypted. */
export function archivedCondition(filter: EntryFilter): NonNullable<RangeOptions['where']> {
  const { reservationId, requestId, traceId } = filter;
  const ids: [string, Uint8Array][] = [];
  if (reservationId) ids.push(['reservation_id', uuidBytes(reservationId)]);
  if (requestId) ids.push(['request_id', requestIdToBytes(requestId)]);
  if (traceId) ids.push(['trace_id', uuidBytes(traceId)]);
  const kinds = new Set<unknown>(filter.kinds.map((kind) => KIND_CODES[kind]));
  return {
    columns: ['kind', ...ids.map(([column]) => column)],
    matches: (row) =>
      (kinds.size === 0 || kinds.has(row['kind'])) &&
      ids.every(([column, id]) => {
        const found = (row[column] ?? null) as Uint8Array | null;
        return found !== null && Buffer.compare(found, id) === 0;
      }),
  };
}

/** The entries with afterSeq < seq <= upToSeq. */
export type EntryRange = {
  readonly accountId: string;
  readonly afterSeq: bigint;
  readonly upToSeq: bigint;
};

/** A query of the matching entries of a range: what comes before its select list, and after it. */
export function matchingEntries(
  { accountId, afterSeq, upToSeq }: EntryRange,
  filter: EntryFilter,
  selective: boolean,
): { readonly start: string; readonly where: Conditions } {
  const where = indexed(accountId, filter) ?? new Conditions(['account_id = $1'], [accountId]);
  // What is materialized is planned for itself: not in the order of the seqs, among all entries of the account.
  const start = selective
    ? `with entries as materialized (select * from entries where ${where}) `
    : '';
  const all = selective ? new Conditions(['true'], where.parameters) : where;
  all.add((p) => `seq > ${p}`, afterSeq);
  all.add((p) => `seq <= ${p}`, upToSeq);
  addUnindexed(all, filter);
  return { start, where: all };
}
