/** Grants as they are stored. */
import type { Grant } from '../ledger/grant.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { grants } from '../store/tables/grants.ts';

/** Grants of an account below `beforeId`, newest first; from the newest if it is null. */
export async function findGrants(
  em: Em,
  accountId: string,
  beforeId: bigint | null,
  limit: number,
): Promise<Grant[]> {
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants
     where account_id = $1 and ($2::bigint is null or grant_id < $2) order by grant_id desc limit $3`,
    [accountId, beforeId, limit],
  );
  return rows.map(grants.read);
}

/** Those of the grants that the account has, in any order. */
export async function findGrantsById(
  em: Em,
  accountId: string,
  grantIds: readonly bigint[],
): Promise<Grant[]> {
  if (grantIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants where account_id = $1 and grant_id = any($2::bigint[])`,
    [accountId, grantIds],
  );
  return rows.map(grants.read);
}
