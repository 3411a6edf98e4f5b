/** Looks for requests of archived entries: for one, a probe of the index and a row of 2 KB. */
import { binaryArray } from '../pg/binary-array.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { RequestKey } from './load-requests.ts';
import { METHOD_CODES } from './tables/codes.ts';
import { archivedRequestKey, REQUEST_KEY_BYTES, requestIdToBytes } from './tables/request-id.ts';

/** Those of the requests that an archived entry of their account has. */
export async function findArchivedRequests(
  em: Em,
  requests: readonly RequestKey[],
): Promise<readonly RequestKey[]> {
  if (requests.length === 0) return [];
  const rows = await query<{ index: number }>(
    em,
    `select n.index::int as index
     from unnest($1::text[], $2::bytea[]) with ordinality as n(account_id, key, index)
     cross join lateral (
       select keys from archived_requests
       where account_id = n.account_id and first_key <= n.key
       order by first_key desc limit 1
     ) r
     where position(n.key in r.keys) % ${REQUEST_KEY_BYTES} = 1`,
    [
      binaryArray('text', requests, ({ accountId }) => accountId),
      binaryArray('bytea', requests, ({ method, requestId }) =>
        archivedRequestKey(METHOD_CODES[method], requestIdToBytes(requestId)),
      ),
    ],
  );
  return rows.map(({ index }) => requests[index - 1] as RequestKey);
}
