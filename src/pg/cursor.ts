/** Consistent reads of any size: a read-only snapshot, and rows through a cursor. */
import type pg from 'pg';
import type { Row } from './table.ts';

/** Rows per fetch; the rows of two fetches are in memory at once. */
const FETCH_ROWS = 2_000;

/** Runs `read` in one read-only transaction, all of whose queries see the same state. */
export async function inReadOnlySnapshot<Result>(
  client: pg.Client,
  read: () => Promise<Result>,
): Promise<Result> {
  await client.query('begin transaction isolation level repeatable read, read only');
  try {
    return await read();
  } finally {
    // Nothing was written, so an error here changes nothing.
    await client.query('rollback').catch(() => {});
  }
}

/**
 * The rows of a query, through a cursor: neither side holds more than a few of them in memory, and
 * PostgreSQL sorts on disk what is too much for its memory. Needs a transaction. `name` must differ
 * between cursors that are open at the same time.
 */
export async function* readWithCursor(
  client: pg.Client,
  name: string,
  sql: string,
  parameters: readonly unknown[],
): AsyncGenerator<Row, void, void> {
  await client.query(`declare ${name} no scroll cursor for ${sql}`, [...parameters]);
  const fetch = () => client.query<Row>(`fetch ${FETCH_ROWS} from ${name}`);
  for (let next = fetch(); ; ) {
    const { rows } = await next;
    const isLast = rows.length < FETCH_ROWS;
    // PostgreSQL reads the next rows while the caller uses these.
    if (!isLast) next = fetch();
    next.catch(() => {}); // the next `await` reports it, unless the caller has stopped reading
    yield* rows;
    if (isLast) break;
  }
  await client.query(`close ${name}`);
}
