/** Accounts as they are stored, one or page by page. Pages begin after a key (keyset pagination). */
import type { Account, AccountState } from '../ledger/account.ts';
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

export type AccountFilter = {
  /** Empty: of any plan. */
  readonly planId: string;
  /** Null: in any. OPEN: not suspended. */
  readonly state: AccountState | 'SUSPENDED' | null;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** Accounts after `afterId`, ordered by id. */
export async function findAccounts(
  em: Em,
  { planId, state, scope }: AccountFilter,
  afterId: string,
  limit: number,
): Promise<Account[]> {
  const where = new Conditions(['account_id > $1'], [afterId, limit]);
  if (planId) where.add((p) => `plan_id = ${p}`, planId);
  if (state !== null) where.add((p) => `state = ${p}`, state === 'CLOSED' ? 'CLOSED' : 'OPEN');
  if (state === 'OPEN' || state === 'SUSPENDED')
    where.add((p) => `(suspension is not null) = ${p}`, state === 'SUSPENDED');
  addScope(where, scope, 'accounts.account_id');
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where ${where} order by account_id limit $2`,
    where.parameters,
  );
  return rows.map(accounts.read);
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
