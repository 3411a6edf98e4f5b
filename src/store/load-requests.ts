/** Requests that were answered before, from the entries that they wrote. */
import type { AnsweredRequest, Entry, Method, StoredEntry } from '../ledger/entry.ts';
import { binaryArray } from '../pg/binary-array.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { ResponseContext } from './packed-response.ts';
import { METHOD_CODES } from './tables/codes.ts';
import { entries } from './tables/entries.ts';
import { requestIdToBytes } from './tables/request-id.ts';

export type RequestKey = {
  readonly accountId: string;
  readonly requestId: string;
  readonly method: Method;
};

/** A request that was answered, as its entry has it. */
export type StoredRequest = ResponseContext &
  Pick<Entry, 'requestId' | 'caller' | 'seq' | 'credits'> & { readonly request: AnsweredRequest };

export async function loadRequests(em: Em, keys: readonly RequestKey[]): Promise<StoredRequest[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${entries.selectListOf('e')} from entries e
     join unnest($1::text[], $2::bytea[], $3::smallint[]) as n(account_id, request_id, method)
       using (account_id, request_id, method)`,
    [
      binaryArray('text', keys, ({ accountId }) => accountId),
      binaryArray('bytea', keys, ({ requestId }) => requestIdToBytes(requestId)),
      binaryArray('smallint', keys, ({ method }) => METHOD_CODES[method]),
    ],
  );
  return rows.map((row) => entries.read(row) as StoredEntry & StoredRequest);
}
