/**
 * One moment of the database, as far as a range of accounts goes. Every query of a snapshot sees the
 * same state, whatever the service writes meanwhile, and none of them can write.
 */
import type pg from 'pg';
import { readWithCursor } from '../pg/cursor.ts';
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
export type InRange = (column: string) => string;

export class Snapshot {
  readonly #client: pg.Client;
  readonly #range: Range;
  #cursors = 0;

  constructor(client: pg.Client, range: Range) {
    this.#client = client;
    this.#range = range;
  }

  /** The rows of a query; as many queries as wanted may be under way. */
  rows(query: (inRange: InRange) => string): AsyncGenerator<Row, void, void> {
    const { text, parameters } = condition(this.#range);
    const sql = query((column) => text.replaceAll('id', column));
    return readWithCursor(this.#client, `c${++this.#cursors}`, sql, parameters);
  }
}

function condition(range: Range): { readonly text: string; readonly parameters: string[] } {
  if ('only' in range) return { text: 'id = $1', parameters: [range.only] };
  if (range.upTo === null) return { text: 'id > $1', parameters: [range.after] };
  return { text: 'id > $1 and id <= $2', parameters: [range.after, range.upTo] };
}
