/** Accounts as they are stored, one or page by page. Pages begin after a key (keyset pagination). */
import type { Account } from '../ledger/account.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { accounts } from '../store/tables/accounts.ts';

export async function findAccount(em: Em, accountId: string): Promise<Account | null> {
  const [row] = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = $1`,
    [accountId],
  );
  return row ? accounts.read(row) : null;
}

/** Accounts after `afterId`, ordered by id; of any plan if `planId` is empty. */
export async function findAccounts(
  em: Em,
  planId: string,
  afterId: string,
  limit: number,
): Promise<Account[]> {
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts
     where account_id > $1 and ($2 = '' or plan_id = $2) order by account_id limit $3`,
    [afterId, planId, limit],
  );
  return rows.map(accounts.read);
}
