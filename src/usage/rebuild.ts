/** Makes usage rollups anew from the entries. Reports show the old rows until the new ones are whole. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { withAllEntries } from '../queries/archived-accounts.ts';
import { usageQuantities, usageRollups } from '../store/tables/usage-rollups.ts';
import { rollUpHere } from './roll-up.ts';

/** Entries that are in memory at the same time. */
const PAGE_SIZE = 10_000;

/**
 * Of one account, in one transaction. Resolves to how many entries it passed; null: there is no such account. Throws an
 * ArchivedEntriesError for an account with archived entries.
 */
export async function rebuildUsage(em: Em, accountId: string): Promise<number | null> {
  return await withAllEntries(em, accountId, async (em) => {
    // Locks the position, or makes it.
    const { locked, done, unfinished } = await rollUpHere(em, [accountId], 0, 'wait');
    if (locked.length + done.length + unfinished.length === 0) return null;
    for (const { name } of [usageRollups, usageQuantities])
      await query(em, `delete from ${name} where account_id = $1`, [accountId]);
    await query(em, 'update usage_positions set seq = 0, labels = null where account_id = $1', [
      accountId,
    ]);
    for (let entries = 0; ; ) {
      const page = await rollUpHere(em, [accountId], PAGE_SIZE, 'wait');
      entries += page.entries;
      if (page.unfinished.length === 0) return entries;
    }
  });
}
