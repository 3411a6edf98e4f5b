/**
 * Pages of lists over several cells. Every cell gives its rows in its own order, and the merged list keeps it. A page
 * token holds the key of each cell, so that no row is left out or shown twice, whatever the sort order of a database
 * is. Accounts may move before the next page: where rows have one key in all cells, each gets the last one shown.
 * With one cell a token holds one key.
 */
import type { ServiceContext } from '../service-context.ts';
import type { Codec } from './codec.ts';
import { encodeMessage } from './codec.ts';
import { readInCells } from './in-cell.ts';
import { decodePageToken, encodePageToken, PAGE_BYTES_MAX, tokenRefused } from './pages.ts';

/** Rows of a cell, in its order. `next`: the key after which its next page begins; null: there are no more. */
export type CellPage<Row> = { readonly rows: readonly Row[]; readonly next: string | null };

/** The page of up to `pageSize + 1` rows: the one too many tells that there is a next page. */
export const toCellPage = <Row>(
  rows: readonly Row[],
  pageSize: number,
  keyOf: (row: Row) => string,
): CellPage<Row> => {
  const shown = rows.slice(0, pageSize);
  const last = shown.at(-1);
  return { rows: shown, next: last && rows.length > pageSize ? keyOf(last) : null };
};

/** Below 0: the first comes before the second one. */
type Compare<Value> = (one: Value, other: Value) => number;

/** Which row comes first. `byKeys`: rows have one key in every cell; it gets all keys of a page. `byRows`: keys are those of a cell. */
export type MergedOrder<Row> =
  | { readonly byKeys: (keys: readonly string[]) => Compare<string> | Promise<Compare<string>> }
  | { readonly byRows: Compare<Row> };

export type MergedList<Row, Message> = {
  /** The name of the list, followed by the arguments that select its rows. */
  readonly list: readonly string[];
  /** Empty: of all accounts. */
  readonly accountId: string;
  readonly pageToken: string;
  readonly pageSize: number;
  readonly keyPattern: RegExp;
  /** The rows of a cell after a key; from the first if it is null. */
  readonly read: (cell: ServiceContext, after: string | null) => Promise<CellPage<Row>>;
  readonly keyOf: (row: Row) => string;
  readonly order: MergedOrder<Row>;
  readonly codec: Codec<Message>;
  readonly toMessage: (row: Row) => Message;
};

/** A page of the rows of all cells. Throws INVALID_FIELD where the token was made for another list. */
export async function mergedPage<Row, Message>(
  context: ServiceContext,
  merged: MergedList<Row, Message>,
): Promise<{ readonly messages: Message[]; readonly nextPageToken: string }> {
  const { list, accountId, pageSize, read, keyOf, codec, toMessage } = merged;
  const { isOne, names } = context.cells;
  const after = isOne ? oneKey(context, merged) : keysOf(merged);
  const pages = await readInCells(context, accountId, async (cell) => ({
    cell: cell.cell,
    ...(await read(cell, after.get(cell.cell) ?? null)),
  }));
  const compared = await comparedBy(pages, merged);
  const { compareKeys } = compared;
  const keys = new Map(after);
  const messages: Message[] = [];
  let bytes = 0;
  const heads = pages.map((page) => ({ ...page, at: 0 }));
  while (messages.length < pageSize) {
    const first = firstOf(heads, compared);
    if (!first) break;
    const message = toMessage(first.row);
    bytes += encodeMessage(codec, message).length;
    if (bytes > PAGE_BYTES_MAX && messages.length > 0) break;
    messages.push(message);
    const key = keyOf(first.row);
    for (const cell of compareKeys ? names : [first.head.cell]) keys.set(cell, key);
    first.head.at += 1;
  }
  const isLast = heads.every(({ rows, at, next }) => at === rows.length && next === null);
  if (compareKeys) {
    // Where no row comes before it, all rows up to it are shown.
    const readUpTo = nearestEnd(heads, compareKeys);
    if (readUpTo !== null && !firstOf(heads, compared))
      for (const cell of names) keys.set(cell, readUpTo);
  } else
    for (const { cell, rows, at, next } of heads)
      if (at === rows.length && next !== null) keys.set(cell, next);
  return { messages, nextPageToken: isLast ? '' : encodePageToken(list, formatKeys(keys, isOne)) };
}

type Compared<Row> = {
  readonly compare: Compare<Row>;
  readonly keyOf: (row: Row) => string;
  /** Null: keys are those of a cell. */
  readonly compareKeys: Compare<string> | null;
};

/** Pages of a single cell are in its order. */
async function comparedBy<Row, Message>(
  pages: readonly CellPage<Row>[],
  { order, keyOf }: MergedList<Row, Message>,
): Promise<Compared<Row>> {
  if ('byRows' in order) return { keyOf, compare: order.byRows, compareKeys: null };
  const keys = pages.flatMap(({ rows, next }) => [...rows.map(keyOf), ...(next ? [next] : [])]);
  const compareKeys = await order.byKeys(pages.length > 1 ? keys : []);
  return { keyOf, compareKeys, compare: (one, other) => compareKeys(keyOf(one), keyOf(other)) };
}

type Head<Row> = CellPage<Row> & { readonly cell: string; at: number };

/** The row that comes first; null: there is none, or it is not known, because a cell has more than was read. */
function firstOf<Row>(
  heads: readonly Head<Row>[],
  { compare, compareKeys, keyOf }: Compared<Row>,
): { readonly head: Head<Row>; readonly row: Row } | null {
  let first: { readonly head: Head<Row>; readonly row: Row } | null = null;
  for (const head of heads) {
    const row = head.rows[head.at];
    if (row === undefined) {
      if (head.next !== null && !compareKeys) return null;
    } else if (!first || compare(row, first.row) < 0) first = { head, row };
  }
  const readUpTo = compareKeys && nearestEnd(heads, compareKeys);
  if (first && compareKeys && readUpTo !== null && compareKeys(keyOf(first.row), readUpTo) > 0)
    return null;
  return first;
}

/** The key up to which every cell was read; null: all of them were read to their ends, or have rows that are not shown. */
function nearestEnd(
  heads: readonly Head<unknown>[],
  compareKeys: (one: string, other: string) => number,
): string | null {
  const ends = heads.flatMap(({ rows, at, next }) =>
    at === rows.length && next !== null ? next : [],
  );
  return ends.toSorted(compareKeys)[0] ?? null;
}

type Token = Pick<MergedList<unknown, unknown>, 'list' | 'pageToken' | 'keyPattern'>;

function oneKey({ cell }: ServiceContext, token: Token): ReadonlyMap<string, string> {
  const key = decodePageToken(token.list, token.pageToken, token.keyPattern);
  return new Map(key === null ? [] : [[cell, key]]);
}

/** The key of each cell that has shown rows. */
function keysOf({ list, pageToken, keyPattern }: Token): ReadonlyMap<string, string> {
  const text = decodePageToken(list, pageToken);
  if (text === null) return new Map();
  const keys = parseKeys(text);
  if (!keys || [...keys.values()].some((key) => !keyPattern.test(key))) throw tokenRefused();
  return keys;
}

const formatKeys = (keys: ReadonlyMap<string, string>, isOne: boolean): string =>
  isOne ? ([...keys.values()][0] ?? '') : JSON.stringify([...keys]);

function parseKeys(text: string): ReadonlyMap<string, string> | null {
  try {
    const pairs: unknown = JSON.parse(text);
    const isPair = (pair: unknown): pair is [string, string] =>
      Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string');
    return Array.isArray(pairs) && pairs.every(isPair) ? new Map(pairs) : null;
  } catch {
    return null;
  }
}
