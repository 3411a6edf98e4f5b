/** Accounts as they are stored, by their ids. */
import type { Account } from '../ledger/account.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { accounts } from '../store/tables/accounts.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export async function findAccount(em: Em, accountId: string): Promise<Account | null> {
  const [row] = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = $1`,
    [accountId],
  );
  return row ? accounts.read(row) : null;
}

/** Those of the accounts that are within the scope. */
export async function findIdsInScope(
  em: Em,
  scope: AccountScope,
  accountIds: readonly string[],
): Promise<readonly string[]> {
  const where = new Conditions(['account_id = any($1::text[])'], [accountIds]);
  addScope(where, scope, 'accounts.account_id');
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where ${where}`,
    where.parameters,
  );
  return rows.map(({ account_id }) => account_id);
}

/** The ids of the next accounts after an id, in their order. */
export async function accountIdsAfter(em: Em, afterId: string, limit = 1_000): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    'select account_id from accounts where account_id > $1 order by account_id limit $2',
    [afterId, limit],
  );
  return rows.map(({ account_id }) => account_id);
}
