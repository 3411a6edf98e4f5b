/** Entries as statements count them: the columns that say what credits were used for. */
import { readContent } from '../ledger/entry-content.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { UsageEntry } from '../statements/attributions.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { entries } from '../store/tables/entries.ts';

const { selectList, read } = entries.pick(
  'seq',
  'kind',
  'at',
  'content',
  'reservationId',
  'refundedSeq',
);

const KINDS = kindCodes('RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'IMPORT');

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
     where account_id = $1 and seq > $2 and seq <= $3 and kind in (${KINDS}) order by seq`,
    [accountId, after, upTo],
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

/** The RESERVE and COMMIT entries of reservations, up to a seq. */
export async function entriesOfReservations(
  em: Em,
  accountId: string,
  reservationIds: readonly string[],
  upTo: bigint,
): Promise<UsageEntry[]> {
  if (reservationIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries
     where reservation_id = any($1::uuid[]) and account_id = $2 and seq <= $3
       and kind in (${kindCodes('RESERVE', 'COMMIT')}) order by seq`,
    [reservationIds, accountId, upTo],
  );
  return rows.map(toUsageEntry);
}

function toUsageEntry(row: Row): UsageEntry {
  const { content, ...entry } = read(row);
  const { moves, usages } = readContent(content, entry.kind);
  return {
    ...entry,
    moves,
    usages: usages.map(({ usage: { operation, count }, credits }) => ({
      operation,
      count,
      credits,
    })),
  };
}
