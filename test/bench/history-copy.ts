/** The baseline of StreamHistory: PostgreSQL's COPY of the same rows, received and discarded. */
import pg from 'pg';
import type { Source } from './load.ts';
import type { Operation } from './load-spec.ts';

export async function copySource(
  databaseUrl: string,
  { accountId, entries }: Extract<Operation, { kind: 'copy' }>,
): Promise<Source> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  // COPY accepts no parameters; the account id is safe.
  const text = `copy (select * from entries where account_id = '${accountId}' order by seq) to stdout`;
  return {
    start(done) {
      client.query(text).then(
        ({ rowCount }) =>
          done(entries, rowCount === entries ? null : new Error(`${rowCount} of ${entries} rows`)),
        (error: Error) => done(0, error),
      );
      return true;
    },
    close: () => client.end(),
  };
}
