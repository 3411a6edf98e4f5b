/** Reads an account's entries in seq order, a bounded stretch at a time. */

import type { Entry, EntryKind } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { entries } from '../store/tables/entries.ts';

export type HistoryFilter = {
  /** Empty: all. */
  readonly kinds: readonly EntryKind[];
  /** Empty: all. */
  readonly operation: string;
  /** Empty: all. */
  readonly reference: string;
};

/** The entries with `afterSeq < seq <= upToSeq` that pass the filter. */
export async function readEntries(
  em: Em,
  accountId: string,
  afterSeq: bigint,
  upToSeq: bigint,
  filter: HistoryFilter = { kinds: [], operation: '', reference: '' },
): Promise<Entry[]> {
  const conditions = ['account_id = $1', 'seq > $2', 'seq <= $3'];
  const parameters: unknown[] = [accountId, afterSeq, upToSeq];
  const where = (condition: (place: string) => string, parameter: unknown) => {
    parameters.push(parameter);
    conditions.push(condition(`$${parameters.length}`));
  };
  if (filter.kinds.length > 0) where((place) => `kind = any(${place}::text[])`, filter.kinds);
  if (filter.reference) where((place) => `reference = ${place}`, filter.reference);
  if (filter.operation)
    where(
      (place) => `usages @> ${place}::jsonb`,
      JSON.stringify([{ operation: filter.operation }]),
    );
  const rows = await query<Row>(
    em,
    `select ${entries.selectList} from entries where ${conditions.join(' and ')} order by seq`,
    parameters,
  );
  return rows.map(entries.read);
}

/** seq of the account's newest entry, 0 before the first; null if there is no such account. */
export async function newestSeq(em: Em, accountId: string): Promise<bigint | null> {
  return (await newestSeqs(em, [accountId])).get(accountId) ?? null;
}

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
 * The last seq recorded before an instant, 0 if there is none. Time never runs backwards within an
 * account, so it is found by halving; no index on the time is needed.
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
