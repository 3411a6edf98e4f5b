/**
 * One moment of the database, as far as a range of accounts goes. Every query of a snapshot sees the
 * same state, whatever the service writes meanwhile, and none of them can write.
 */
import type pg from 'pg';
import type { Row } from '../pg/table.ts';

/**
 * A range of the account ids, in the database's own order. The ranges of a run leave no gap, so rows
 * of an account that does not exist are seen, too.
 */
export type Range =
  | { readonly only: string }
  /** Above `after` and up to `upTo`, or to the end where that is null. */
  | { readonly after: string; readonly upTo: string | null };

/** SQL that says whether a column is in the range of the snapshot. */
export type Within = (column: string) => string;

/** Rows that are read at once; twice as many are in memory. */
const FETCH = 2_000;

export class Snapshot {
  readonly #client: pg.Client;
  readonly #range: Range;
  #cursors = 0;

  constructor(client: pg.Client, range: Range) {
    this.#client = client;
    this.#range = range;
  }

  /** The rows of a query; as many queries as wanted may be under way. */
  rows(query: (within: Within) => string): AsyncGenerator<Row, void, void> {
    const { text, parameters } = condition(this.#range);
    const sql = query((column) => text.replaceAll('id', column));
    return rowsOf(this.#client, `c${++this.#cursors}`, sql, parameters);
  }
}

/**
 * The rows of a query, through a cursor: neither side ever holds more than a few of them, and the
 * database sorts on disk what is too much for its memory. Needs a transaction.
 */
export async function* rowsOf(
  client: pg.Client,
  cursor: string,
  sql: string,
  parameters: readonly unknown[],
): AsyncGenerator<Row, void, void> {
  await client.query(`declare ${cursor} no scroll cursor for ${sql}`, [...parameters]);
  const fetch = () => client.query<Row>(`fetch ${FETCH} from ${cursor}`);
  for (let next = fetch(); ; ) {
    const { rows } = await next;
    const last = rows.length < FETCH;
    // The database works on the next rows while these are looked at.
    if (!last) next = fetch();
    next.catch(() => {}); // told when it is awaited, or nobody asks any more
    yield* rows;
    if (last) break;
  }
  await client.query(`close ${cursor}`);
}

/** Runs `look` on one moment of the database. */
export async function readOnly<Result>(
  client: pg.Client,
  look: () => Promise<Result>,
): Promise<Result> {
  await client.query('begin transaction isolation level repeatable read, read only');
  try {
    return await look();
  } finally {
    // Nothing was written; after a failure of the connection there is nothing to end, either.
    await client.query('rollback').catch(() => {});
  }
}

function condition(range: Range): { readonly text: string; readonly parameters: string[] } {
  if ('only' in range) return { text: 'id = $1', parameters: [range.only] };
  if (range.upTo === null) return { text: 'id > $1', parameters: [range.after] };
  return { text: 'id > $1 and id <= $2', parameters: [range.after, range.upTo] };
}
