/** Accounts of which entries are in files, and not in the table. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** An account's entries cannot be counted anew: some are archived. */
export class ArchivedEntriesError extends Error {}

/** Calls `use` in a transaction. Undoes it and fails where entries of the account are archived before, or meanwhile. */
export async function withAllEntries<Result>(
  em: Em,
  accountId: string,
  use: (em: Em) => Promise<Result>,
): Promise<Result> {
  return await em.transactional(async (em) => {
    await requireAllEntries(em, accountId);
    const result = await use(em);
    await requireAllEntries(em, accountId);
    return result;
  });
}

async function requireAllEntries(em: Em, accountId: string) {
  const found = await query(em, 'select from archived_accounts where account_id = $1 and seq > 0', [
    accountId,
  ]);
  if (found.length > 0)
    throw new ArchivedEntriesError(
      `account ${accountId} has archived entries, which are not counted anew`,
    );
}
