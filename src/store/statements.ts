/** Closed statements, and the accounts whose next one is due. */
import type { Statement } from '../ledger/statement.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { statements } from './tables/statements.ts';

/** Closed statements of an account with `fromMonth <= month < beforeMonth`, in their order. */
export async function loadStatements(
  em: Em,
  accountId: string,
  fromMonth: string,
  beforeMonth: string,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statements.selectList} from statements
     where account_id = $1 and month >= $2 and month < $3 order by month`,
    [accountId, fromMonth, beforeMonth],
  );
  return rows.map(statements.read);
}

export async function loadStatement(
  em: Em,
  accountId: string,
  month: string,
): Promise<Statement | null> {
  const [row] = await query<Row>(
    em,
    `select ${statements.selectList} from statements where account_id = $1 and month = $2`,
    [accountId, month],
  );
  return row ? statements.read(row) : null;
}

/** An account's closed statements before `beforeMonth`, newest first; from the newest where null. */
export async function listStatements(
  em: Em,
  accountId: string,
  beforeMonth: string | null,
  limit: number,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statements.selectList} from statements
     where account_id = $1 and ($2::text is null or month < $2) order by month desc limit $3`,
    [accountId, beforeMonth, limit],
  );
  return rows.map(statements.read);
}

/** Closed statements of a plan after (month, account), in that order, up to `toMonth`. */
export async function listStatementsOfPlan(
  em: Em,
  planId: string,
  after: { readonly month: string; readonly accountId: string },
  toMonth: string,
  limit: number,
): Promise<Statement[]> {
  const rows = await query<Row>(
    em,
    `select ${statements.selectList} from statements
     where plan_id = $1 and month >= $2 and month <= $4 and (month, account_id) > ($2, $3)
     order by month, account_id limit $5`,
    [planId, after.month, after.accountId, toMonth, limit],
  );
  return rows.map(statements.read);
}

/** Accounts with a month that has ended by `now` and is not closed, the longest due first. */
export async function accountsToClose(em: Em, now: number, limit: number): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where statement_due_at <= ${fromMillis('$1')}
     order by statement_due_at limit $2`,
    [now, limit],
  );
  return rows.map((row) => row.account_id);
}
