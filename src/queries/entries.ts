/** Entries of an account, in the order of their seq. */
import type { Entry, EntryKind } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { KIND_CODES } from '../store/tables/codes.ts';
import { shownEntries } from '../store/tables/entries.ts';
import { Conditions } from './conditions.ts';

export type EntryFilter = {
  /** Empty: all. */
  readonly kinds: readonly EntryKind[];
  /** Empty: all. */
  readonly operation: string;
  /** Empty: all. */
  readonly reference: string;
};

/** The entries with afterSeq < seq <= upToSeq that match the filter. */
export async function findEntries(
  em: Em,
  accountId: string,
  afterSeq: bigint,
  upToSeq: bigint,
  filter: EntryFilter = { kinds: [], operation: '', reference: '' },
): Promise<Entry[]> {
  const where = new Conditions(
    ['account_id = $1', 'seq > $2', 'seq <= $3'],
    [accountId, afterSeq, upToSeq],
  );
  if (filter.kinds.length > 0)
    where.add(
      (p) => `kind = any(${p}::smallint[])`,
      filter.kinds.map((kind) => KIND_CODES[kind]),
    );
  if (filter.reference) where.add((p) => `reference = ${p}`, filter.reference);
  if (filter.operation)
    where.add(
      (p) => `exists (select from json_array_elements(content -> 'u') u where u ->> 0 = ${p})`,
      filter.operation,
    );
  const rows = await query<Row>(
    em,
    `select ${shownEntries.selectList} from entries where ${where} order by seq`,
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
};

/** Null if there is no such account. Its row and its entries are of one moment. */
export async function findNewest(em: Em, accountId: string, at: bigint): Promise<Newest | null> {
  const [row] = await query<{ seq: string; hash: Buffer; hash_at: Buffer | null }>(
    em,
    `select a.seq, a.last_hash as hash,
       (select e.hash from entries e where e.account_id = a.account_id and e.seq = $2) as hash_at
     from accounts a where a.account_id = $1`,
    [accountId, at],
  );
  return row ? { seq: BigInt(row.seq), hash: row.hash, hashAt: row.hash_at } : null;
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
  accountId: string,
  instant: number,
  newest: bigint,
): Promise<bigint> {
  let before = 0n;
  let notBefore = newest + 1n;
  while (notBefore - before > 1n) {
    const middle = (before + notBefore) / 2n;
    const [row] = await query<{ at: number }>(
      em,
      `select ${millis('at')} from entries where account_id = $1 and seq = $2`,
      [accountId, middle],
    );
    if (row && row.at < instant) before = middle;
    else notBefore = middle;
  }
  return before;
}
