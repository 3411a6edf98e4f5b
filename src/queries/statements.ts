/** Closed statements. */
import type { Statement } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { statements } from '../store/tables/statements.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export async function findStatement(
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

/** An account's statements before `beforeMonth`, newest first; from the newest if it is null. */
export async function findStatements(
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

/** An account's statements of the months fromMonth <= month < beforeMonth, oldest first. */
export async function findStatementsOfMonths(
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

export type PlanStatementsFilter = {
  readonly planId: string;
  readonly toMonth: string;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** A plan's statements up to `toMonth`, ordered by month and account, after a month and account. */
export async function findStatementsOfPlan(
  em: Em,
  { planId, toMonth, scope }: PlanStatementsFilter,
  after: { readonly month: string; readonly accountId: string },
  limit: number,
): Promise<Statement[]> {
  const where = new Conditions(
    ['plan_id = $1', 'month >= $2', 'month <= $4', '(month, account_id) > ($2, $3)'],
    [planId, after.month, after.accountId, toMonth, limit],
  );
  addScope(where, scope, 'statements.account_id');
  const rows = await query<Row>(
    em,
    `select ${statements.selectList} from statements where ${where} order by month, account_id limit $5`,
    where.parameters,
  );
  return rows.map(statements.read);
}
