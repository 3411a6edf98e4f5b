/**
 * Erases the personal data of a closed account, through the SQL function that may: the service's role has no
 * privilege to change entries, and none to change what was bought or granted.
 */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Rows of a table per transaction: nothing is locked for long. */
const CHUNK = 1_000;

/**
 * What was written before the account's ERASE_ACCOUNT_DATA entry `seq`. Resolves when nothing is left. What was
 * erased before, also by another replica, is passed over.
 */
export async function eraseAccountData(
  em: () => Em,
  accountId: string,
  seq: bigint,
  chunk = CHUNK,
): Promise<void> {
  for (let after = 0n; after < seq; ) {
    const [row] = await query<{ readonly erased: string | null }>(
      em(),
      'select erase_account_data($1, $2, $3, $4) as erased',
      [accountId, seq, after, chunk],
    );
    if (!row?.erased) throw new Error(`entry ${seq} of account ${accountId} erases nothing`);
    after = BigInt(row.erased);
  }
}
