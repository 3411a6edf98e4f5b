/**
 * Queries on a range of accounts, in a read-only transaction: all of them see the same state, whatever
 * the service writes meanwhile.
 */
import type pg from 'pg';
import { readWithCursor } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';

/**
 * A range of account ids. The ranges of an audit leave no gap, so that rows of accounts that do not
 * exist are found, too.
 */
export type Range =
  | { readonly only: string }
  /** After `after`, or from the beginning if that is null; up to and including `upTo`, or to the end if that is null. */
  | { readonly after: string | null; readonly upTo: string | null };

/** Makes the SQL condition that a column with account ids is in the range. */
export type InRange = (column: string) => string;

export class Snapshot {
  readonly #client: pg.Client;
  readonly #range: Range;
  #cursors = 0;

  constructor(client: pg.Client, range: Range) {
    this.#client = client;
    this.#range = range;
  }

  /** The rows of a query. Several queries may be open at the same time. */
  rows(query: (inRange: InRange) => string): AsyncGenerator<Row, void, void> {
    const { text, parameters } = condition(this.#range);
    const sql = query((column) => text.replaceAll('id', column));
    return readWithCursor(this.#client, `c${++this.#cursors}`, sql, parameters);
  }
}

function condition(range: Range): { readonly text: string; readonly parameters: string[] } {
  if ('only' in range) return { text: 'id = $1', parameters: [range.only] };
  const { after, upTo } = range;
  const begin = { text: after === null ? 'id >= $1' : 'id > $1', parameters: [after ?? ''] };
  if (upTo === null) return begin;
  return { text: `${begin.text} and id <= $2`, parameters: [...begin.parameters, upTo] };
}
