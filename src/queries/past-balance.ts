/** What an account had after one of its entries. */
import type { Archive, Border } from '../archive/archive.ts';
import { type EntryRow, entryOf, selectedRow } from '../archive/entry-row.ts';
import type { Entry, Move } from '../ledger/entry.ts';
import { readContent, toMoves } from '../ledger/entry-content.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { entries } from '../store/tables/entries.ts';

const balancesAfter = entries.pick(
  'at',
  'kind',
  'remainingAfter',
  'reservedAfter',
  'overageAfter',
  'content',
);

export type BalancesAfter = Pick<
  Entry,
  'at' | 'remainingAfter' | 'reservedAfter' | 'overageAfter' | 'owedAfter'
>;

/** Null: there is no such entry. */
export async function findBalancesAfter(
  em: Em,
  archive: Archive,
  accountId: string,
  seq: bigint,
): Promise<BalancesAfter | null> {
  const [row] = await query<Row>(
    em,
    `select ${balancesAfter.selectList} from entries where account_id = $1 and seq = $2`,
    [accountId, seq],
  );
  if (row) {
    const { content, kind, ...balances } = balancesAfter.read(row);
    return { ...balances, owedAfter: readContent(content, kind).owedAfter };
  }
  const border = await archive.borderOf(em, accountId);
  if (!border || seq > border.seq) return null;
  const [archived] = await archive.rows(em, border, { accountId, after: seq - 1n, upTo: seq });
  return archived ? entryOf(archived) : null;
}

/** Entries of one query, so that none of them takes long. */
const QUERY_ENTRIES = 20_000n;

type Sum = {
  readonly buckets: string;
  readonly grant_id: string;
  readonly credits: string;
};

/** The moves of an account's entries up to a seq; of each query, those between the same buckets are one. */
export async function sumMoves(
  em: Em,
  archive: Archive,
  accountId: string,
  upToSeq: bigint,
  isCancelled: () => boolean,
): Promise<readonly Move[]> {
  for (;;) {
    const border = await archive.borderOf(em, accountId);
    const archivedSeq = border?.seq ?? 0n;
    const moves = await sumStored(em, accountId, archivedSeq, upToSeq, isCancelled);
    // What has left the table meanwhile may be counted or not.
    if ((await archive.borderOf(em, accountId))?.seq !== border?.seq) continue;
    if (!border) return moves;
    return [...(await sumArchived(em, archive, border, accountId, upToSeq)), ...moves];
  }
}

/** Those between the same buckets are one: what is kept in memory does not grow with the entries. */
async function sumArchived(
  em: Em,
  archive: Archive,
  border: Border,
  accountId: string,
  upToSeq: bigint,
): Promise<readonly Move[]> {
  const sums = new Map<string, Move>();
  const range = { accountId, after: 0n, upTo: upToSeq };
  for await (const rows of archive.pages(em, border, range, { columns: MOVES_COLUMNS }))
    for (const move of rows.flatMap(movesOf)) {
      const key = `${move.from} ${move.to} ${move.grantId}`;
      const { credits } = sums.get(key) ?? { credits: 0n };
      sums.set(key, { ...move, credits: credits + move.credits });
    }
  return [...sums.values()];
}

const MOVES_COLUMNS = ['seq', 'kind', 'content'];
const withMoves = entries.pick('kind', 'content');

function movesOf(row: EntryRow): readonly Move[] {
  const { content, kind } = withMoves.read(selectedRow(row));
  return readContent(content, kind).moves;
}

async function sumStored(
  em: Em,
  accountId: string,
  afterSeq: bigint,
  upToSeq: bigint,
  isCancelled: () => boolean,
): Promise<readonly Move[]> {
  const moves: Move[] = [];
  for (let after = afterSeq; after < upToSeq && !isCancelled(); after += QUERY_ENTRIES) {
    const until = after + QUERY_ENTRIES < upToSeq ? after + QUERY_ENTRIES : upToSeq;
    const sums = await query<Sum>(
      em,
      `select move ->> 0 as buckets, move ->> 1 as grant_id, sum((move ->> 2)::bigint) as credits
       from entries cross join json_array_elements(content -> 'm') move
       where account_id = $1 and seq > $2 and seq <= $3 group by 1, 2`,
      [accountId, after, until],
    );
    moves.push(
      ...toMoves(sums.map(({ buckets, grant_id, credits }) => [buckets, grant_id, credits])),
    );
  }
  return moves;
}
