/** Makes the sums of roll-forwards anew from the entries. Roll-forwards show the old sums until the new ones are whole. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { withAllEntries } from '../queries/archived-accounts.ts';
import { rollForwardSums } from '../store/tables/roll-forward.ts';
import { countHere } from './count.ts';

const PAGE_SIZE = 100_000;

/**
 * Of one account, in one transaction. Resolves to how many entries it passed; null: there is no such account. Throws an
 * ArchivedEntriesError for an account with archived entries.
 */
export async function rebuildRollForward(em: Em, accountId: string): Promise<number | null> {
  return await withAllEntries(em, accountId, async (em) => {
    // Locks the position, or makes it.
    const { locked, done, unfinished } = await countHere(em, [accountId], 0, 'wait');
    if (locked.length + done.length + unfinished.length === 0) return null;
    await query(em, `delete from ${rollForwardSums.name} where account_id = $1`, [accountId]);
    await query(
      em,
      `update roll_forward_positions set seq = 0, remaining = '{}', plan_id = e.plan_id
       from entries e where roll_forward_positions.account_id = $1 and e.account_id = $1 and e.seq = 1`,
      [accountId],
    );
    for (let entries = 0; ; ) {
      const page = await countHere(em, [accountId], PAGE_SIZE, 'wait');
      entries += page.entries;
      if (page.unfinished.length === 0) return entries;
    }
  });
}
