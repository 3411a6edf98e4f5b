/**
 * Open grants of accounts. An account may have thousands, of which a command touches one or two. So the
 * ones that burn first are read, and the account's row has the sums over all. All are read where something
 * is due on the account, since settling looks at each, and where some are limited to operations.
 */
import type { Account } from '../ledger/account.ts';
import type { Grant } from '../ledger/grant.ts';
import { binaryArray } from '../pg/binary-array.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { grants } from './tables/grants.ts';

export type GrantQuery = {
  readonly accountId: string;
  /** Of the grants with something to spend, how many are read at most. */
  readonly limit: number;
};

/** The SQL condition that all open grants of an account are read; $2 is the time. */
const NEEDS_ALL = `(a.has_limited_grants
         or coalesce(a.due_at <= greatest(${fromMillis('$2')}, a.last_at), false))`;

/** The open grants that burn first, in no order. */
export async function loadOpenGrants(
  em: Em,
  queries: readonly GrantQuery[],
  now: number,
): Promise<Grant[]> {
  if (queries.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select g.* from unnest($1::text[], $3::int[]) as n(account_id, wanted)
     join accounts a using (account_id)
     cross join lateral (
       select ${grants.selectList} from grants
       where account_id = n.account_id and open and (remaining > reserved or ${NEEDS_ALL})
       order by priority, grants.expires_at, paid, grant_id
       limit case when ${NEEDS_ALL} then null else n.wanted end
     ) g`,
    [
      binaryArray('text', queries, ({ accountId }) => accountId),
      now,
      binaryArray('int', queries, ({ limit }) => limit),
    ],
  );
  return rows.map(grants.read);
}

/** All open grants of the accounts that need them, and all that expire next of the others. For reads. */
export async function loadGrantsToShow(
  em: Em,
  accountIds: readonly string[],
  now: number,
): Promise<Grant[]> {
  const rows = await query<Row>(
    em,
    `select g.* from accounts a
     cross join lateral (
       select ${grants.selectList} from grants
       where account_id = a.account_id and open and ${NEEDS_ALL}
       union all (
         select ${grants.selectList} from grants
         where account_id = a.account_id and open and remaining > 0
           and grants.expires_at > ${fromMillis('$2')} and not ${NEEDS_ALL}
         order by grants.expires_at fetch first 1 row with ties
       )
     ) g
     where a.account_id = any($1::text[])`,
    [accountIds, now],
  );
  return rows.map(grants.read);
}

export async function loadAllOpenGrants(em: Em, accountIds: readonly string[]): Promise<Grant[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants where account_id = any($1::text[]) and open`,
    [accountIds],
  );
  return rows.map(grants.read);
}

/** Allowances that lasted until after a time of their account, and of which something has expired that can return. */
export async function loadReturningGrants(
  em: Em,
  usedAt: ReadonlyMap<string, number>,
): Promise<Grant[]> {
  const accounts = [...usedAt];
  const rows = await query<Row>(
    em,
    `select ${grants.selectListOf('g')}
     from unnest($1::text[], $2::timestamptz[]) as n(account_id, used_at)
     join grants g on g.account_id = n.account_id and g.expires_at > n.used_at and g.expired is not null`,
    [
      binaryArray('text', accounts, ([accountId]) => accountId),
      binaryArray('instant', accounts, ([, at]) => at),
    ],
  );
  return rows.map(grants.read);
}

/** Whether `loadOpenGrants` reads all open grants of an account, whatever the limit is. */
export const needsAllGrants = (
  { hasLimitedGrants, dueAt, lastAt }: Account,
  now: number,
): boolean => hasLimitedGrants || (dueAt !== null && dueAt <= Math.max(now, lastAt));
