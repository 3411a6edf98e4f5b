/** Entries as statements count them: the columns that say what credits were used for. */
import type { EntryKind } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { UsageEntry } from '../statements/attributions.ts';
import { entries } from '../store/tables/entries.ts';
import { lastSeqBefore } from './entries.ts';

const { selectList, read } = entries.pick(
  'seq',
  'kind',
  'at',
  'moves',
  'usages',
  'reservationId',
  'refundedSeq',
);

const KINDS: readonly EntryKind[] = ['RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND'];

/** The account's entries with after < seq <= upTo that reserve, use or give back credits. */
export async function usageEntries(
  em: Em,
  accountId: string,
  after: bigint,
  upTo: bigint,
): Promise<UsageEntry[]> {
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries
     where account_id = $1 and seq > $2 and seq <= $3 and kind = any($4::text[]) order by seq`,
    [accountId, after, upTo, KINDS],
  );
  return rows.map(toUsageEntry);
}

export async function usageEntriesBySeq(
  em: Em,
  accountId: string,
  seqs: readonly bigint[],
): Promise<UsageEntry[]> {
  if (seqs.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries where account_id = $1 and seq = any($2::bigint[])`,
    [accountId, seqs],
  );
  return rows.map(toUsageEntry);
}

/** Entries that one query passes over: few match, most belong to other reservations. */
const READ_AHEAD = 20_000n;

/**
 * The RESERVE and COMMIT entries of reservations, up to a seq. Entries have no index by reservation, so
 * the search begins when the first of the reservations was made.
 */
export async function entriesOfReservations(
  em: Em,
  accountId: string,
  reservationIds: readonly string[],
  upTo: bigint,
): Promise<UsageEntry[]> {
  if (reservationIds.length === 0) return [];
  const [oldest] = await query<{ created_at: number | null }>(
    em,
    `select ${millis('min(created_at)', 'created_at')} from reservations
     where account_id = $1 and reservation_id = any($2::uuid[])`,
    [accountId, reservationIds],
  );
  if (!oldest || oldest.created_at === null) return [];
  const found: UsageEntry[] = [];
  let after = await lastSeqBefore(em, accountId, oldest.created_at, upTo);
  for (; after < upTo; after += READ_AHEAD) {
    const rows = await query<Row>(
      em,
      `select ${selectList} from entries
       where account_id = $1 and seq > $2 and seq <= least($3::bigint, $4::bigint)
         and kind in ('RESERVE', 'COMMIT') and reservation_id = any($5::uuid[]) order by seq`,
      [accountId, after, after + READ_AHEAD, upTo, reservationIds],
    );
    found.push(...rows.map(toUsageEntry));
  }
  return found;
}

function toUsageEntry(row: Row): UsageEntry {
  const { usages, ...entry } = read(row);
  return {
    ...entry,
    usages: usages.map(({ usage: { operation, count }, credits }) => ({
      operation,
      count,
      credits,
    })),
  };
}
