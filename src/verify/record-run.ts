/** Records an audit of the whole ledger, so that every replica can show its result as a metric. */
import pg from 'pg';
import type { VerifyResult } from './verify.ts';

/**
 * Null once it is recorded. Otherwise why it is not: the database may be a standby or a copy that only reads, or
 * older than the table. The audit itself is not concerned.
 */
export async function recordRun(databaseUrl: string, result: VerifyResult): Promise<string | null> {
  const { accounts, entries } = result.ok ? result : { accounts: 0, entries: 0 };
  const discrepancies = result.ok ? 0 : result.discrepancies.length;
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'scrip verify' });
  client.on('error', () => {}); // after the loss of the connection the next query fails
  try {
    await client.connect();
    await client.query(
      `insert into verify_runs (run_id, finished_at, accounts, entries, discrepancies)
       values (gen_random_uuid(), clock_timestamp(), $1, $2, $3)`,
      [accounts, entries, discrepancies],
    );
    return null;
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return message || code || String(error);
  } finally {
    await client.end().catch(() => {});
  }
}
