/** Compares what was copied with what there is: every account's newest entry, and the rows of every table. */
import type pg from 'pg';
import { ACCOUNT_TABLES, type MovingTable } from './account-tables.ts';
import type { Counts } from './copy-accounts.ts';

/** Throws with the first difference. Nothing may change meanwhile. */
export async function compareCopies(
  source: pg.Client,
  target: pg.Client,
  copied: Counts,
): Promise<void> {
  const [there, here] = await Promise.all([
    // The hash chain of an account ends in its row; in the copy the entry must say the same.
    headsOf(source, 'a.last_hash', ''),
    headsOf(
      target,
      `e.hash`,
      'join entries e on e.account_id = a.account_id and e.seq = a.seq and e.hash = a.last_hash',
    ),
  ]);
  if (there.accounts !== here.accounts)
    throw new Error(`${there.accounts} accounts were to be copied, and ${here.accounts} are whole`);
  if (there.digest !== here.digest)
    throw new Error('the newest entries of the copied accounts are not those of the accounts');
  for (const [table, expected] of await countAll(source)) {
    const found = copied.get(table) ?? 0;
    if (expected !== found)
      throw new Error(`${table}: there are ${expected} rows, and ${found} were copied`);
  }
}

async function headsOf(client: pg.Client, hash: string, join: string) {
  const { rows } = await client.query<{ accounts: number; digest: string | null }>(
    `select count(*)::int as accounts,
       md5(string_agg(concat_ws(' ', a.account_id, a.seq, a.version, encode(${hash}, 'hex')), ',' order by a.account_id collate "C"))
         as digest
     from accounts a join slot_move_copied using (account_id) ${join}`,
  );
  return rows[0] as { accounts: number; digest: string | null };
}

/** The rows of every table. Entries are numbered without gaps, so that they need not be counted. */
async function countAll(client: pg.Client): Promise<ReadonlyMap<MovingTable, number>> {
  const counts = ACCOUNT_TABLES.map((table) =>
    table === 'entries'
      ? `select 'entries' as name, sum(t.seq) as count from accounts t join slot_move_copied using (account_id)`
      : `select '${table}', count(*) from ${table} t join slot_move_copied using (account_id)`,
  );
  const { rows } = await client.query<{ name: MovingTable; count: string | null }>(
    `select name, count from (${counts.join(' union all ')}) as counted (name, count)`,
  );
  return new Map(rows.map(({ name, count }) => [name, Number(count ?? 0)]));
}
