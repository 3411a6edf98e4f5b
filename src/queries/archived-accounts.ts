/** Whether entries of an account are in files, and not in the table. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

export async function hasArchivedEntries(em: Em, accountId: string): Promise<boolean> {
  const found = await query(em, 'select from archived_accounts where account_id = $1 and seq > 0', [
    accountId,
  ]);
  return found.length > 0;
}
