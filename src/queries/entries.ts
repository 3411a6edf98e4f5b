/** Entries of an account, in the order of their seq. */
import type { Archive } from '../archive/archive.ts';
import { entryOf } from '../archive/entry-row.ts';
import type { Entry } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { shownEntries } from '../store/tables/entries.ts';
import {
  archivedCondition,
  type EntryFilter,
  type EntryRange,
  isEmpty,
  isSelective,
  matches,
  matchingEntries,
  PASSED_MAX,
} from './entry-filter.ts';

/** Up to `limit` entries of a range that match, in the order of their seqs. */
export async function findEntries(
  em: Em,
  archive: Archive,
  range: EntryRange,
  filter: EntryFilter,
  selective: boolean,
  limit: number,
): Promise<readonly Entry[]> {
  const stored = await selectEntries(em, range, filter, selective, 'seq', limit);
  const { archived, border } = await findArchived(em, archive, range, filter, limit);
  if (border === null) return stored;
  return [...archived, ...stored.filter(({ seq }) => seq > border)].slice(0, limit);
}

/**
 * The archived entries of a range that match. The border is read after the table was: what has left the table meanwhile is
 * in the files. `border` null: the range has nothing that is archived.
 */
async function findArchived(
  em: Em,
  archive: Archive,
  { accountId, afterSeq, upToSeq }: EntryRange,
  filter: EntryFilter,
  limit: number,
  newestFirst = false,
): Promise<{ readonly archived: readonly Entry[]; readonly border: bigint | null }> {
  const border = await archive.borderOf(em, accountId);
  if (!border || afterSeq >= border.seq) return { archived: [], border: null };
  const range = { accountId, after: afterSeq, upTo: upToSeq };
  if (isEmpty(filter)) {
    const rows = await archive.rows(em, border, range, limit, newestFirst);
    return { archived: rows.map(entryOf), border: border.seq };
  }
  const archived: Entry[] = [];
  const options = { where: archivedCondition(filter), newestFirst };
  for await (const rows of archive.pages(em, border, range, options)) {
    archived.push(...rows.map(entryOf).filter((entry) => matches(entry, filter)));
    if (archived.length >= limit) break;
  }
  return { archived: archived.slice(0, limit), border: border.seq };
}

export type NewestEntries = {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** Where there are fewer than the limit: entries up to this seq were not looked at. Null: all were. */
  readonly lookedDownTo: bigint | null;
};

/** Up to `limit` of the newest entries of a range that match; fewer if few match. */
export async function findNewestEntries(
  em: Em,
  archive: Archive,
  range: EntryRange,
  filter: EntryFilter,
  limit: number,
): Promise<NewestEntries> {
  const selective = await isSelective(em, archive, range.accountId, filter);
  const { upToSeq } = range;
  const isCut = !selective && upToSeq - range.afterSeq > PASSED_MAX;
  const afterSeq = isCut ? upToSeq - PASSED_MAX : range.afterSeq;
  const looked = { ...range, afterSeq };
  const stored = await selectEntries(em, looked, filter, selective, 'seq desc', limit);
  const { archived, border } = await findArchived(em, archive, looked, filter, limit, true);
  const newer = border === null ? stored : stored.filter(({ seq }) => seq > border);
  const entries = [...newer, ...archived].slice(0, limit);
  return { entries, lookedDownTo: isCut && entries.length < limit ? afterSeq : null };
}

async function selectEntries(
  em: Em,
  range: EntryRange,
  filter: EntryFilter,
  selective: boolean,
  order: 'seq' | 'seq desc',
  limit: number,
): Promise<Entry[]> {
  const { start, where } = matchingEntries(range, filter, selective);
  const rows = await query<Row>(
    em,
    `${start}select ${shownEntries.selectList} from entries where ${where}
     order by ${order} limit ${where.parameter(limit)}`,
    where.parameters,
  );
  return rows.map(shownEntries.read);
}

/** The seq of an account's newest entry; 0 before the first; null if there is no such account. */
export async function newestSeq(em: Em, accountId: string): Promise<bigint | null> {
  return (await newestSeqs(em, [accountId])).get(accountId) ?? null;
}

/** The newest entry of an account, and the hash of the one at a position of a reader. */
export type Newest = {
  /** 0 before the first. */
  readonly seq: bigint;
  readonly hash: Buffer;
  /** Null: there is no entry at the position. */
  readonly hashAt: Buffer | null;
  /** The entries up to it are archived: their hashes are not looked up. */
  readonly archivedSeq: bigint;
};

/** Null if there is no such account. Its row and its entries are of one moment. */
export async function findNewest(em: Em, accountId: string, at: bigint): Promise<Newest | null> {
  const [row] = await query<{
    seq: string;
    hash: Buffer;
    hash_at: Buffer | null;
    archived_seq: string | null;
  }>(
    em,
    `select a.seq, a.last_hash as hash, a.archived_seq,
       (select e.hash from entries e where e.account_id = a.account_id and e.seq = $2) as hash_at
     from accounts a where a.account_id = $1`,
    [accountId, at],
  );
  if (!row) return null;
  const archivedSeq = BigInt(row.archived_seq ?? 0);
  return { seq: BigInt(row.seq), hash: row.hash, hashAt: row.hash_at, archivedSeq };
}

/** The seqs of the newest entries of several accounts, without those that do not exist. */
export async function newestSeqs(
  em: Em,
  accountIds: readonly string[],
): Promise<Map<string, bigint>> {
  const rows = await query<{ account_id: string; seq: string }>(
    em,
    'select account_id, seq from accounts where account_id = any($1::text[])',
    [accountIds],
  );
  return new Map(rows.map((row) => [row.account_id, BigInt(row.seq)]));
}

/**
 * The seq of the last entry before an instant, 0 if there is none. `newest` is the account's newest seq.
 * A binary search needs no index on the time: within an account, time never runs backwards.
 */
export async function lastSeqBefore(
  em: Em,
  archive: Archive,
  accountId: string,
  instant: number,
  newest: bigint,
): Promise<bigint> {
  const border = await archive.borderOf(em, accountId);
  if (border && instant <= border.at)
    return await archive.lastSeqBefore(em, border, accountId, instant);
  let before = border?.seq ?? 0n;
  let notBefore = newest + 1n;
  while (notBefore - before > 1n) {
    const middle = (before + notBefore) / 2n;
    const [row] = await query<{ at: number }>(
      em,
      `select ${millis('at')} from entries where account_id = $1 and seq = $2`,
      [accountId, middle],
    );
    // An entry that is not there has left the table since the border was read.
    if (!row && (await archive.borderOf(em, accountId))?.seq !== border?.seq)
      return await lastSeqBefore(em, archive, accountId, instant, newest);
    if (row && row.at < instant) before = middle;
    else notBefore = middle;
  }
  return before;
}

/** The seq of the newest entry with after < seq <= upTo that says when its work was done; null: none does. */
export async function newestLateUsage(
  em: Em,
  accountId: string,
  after: bigint,
  upTo: bigint,
): Promise<bigint | null> {
  const [row] = await query<{ seq: string | null }>(
    em,
    `select max(seq) as seq from entries
     where account_id = $1 and seq > $2 and seq <= $3 and content ->> 't' is not null`,
    [accountId, after, upTo],
  );
  return row?.seq == null ? null : BigInt(row.seq);
}
