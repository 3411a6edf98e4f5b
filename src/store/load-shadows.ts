/** Reads what shadow mode keeps of accounts. Accounts that never were in it are not asked for. */

import { toRefundableEntry } from '../ledger/refundable.ts';
import type { ShadowRefundable, ShadowReservation } from '../ledger/shadow/shadow.ts';
import type { ShadowUse } from '../ledger/shadow/shadow-use.ts';
import { binaryArray } from '../pg/binary-array.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { RowKey } from './load.ts';
import type { RequestKey, StoredRequest } from './load-requests.ts';
import { kindCodes, METHOD_CODES } from './tables/codes.ts';
import { requestIdToBytes } from './tables/request-id.ts';
import { shadowDecisions, shadowReservations, shadowUse } from './tables/shadows.ts';

export async function loadShadowUse(em: Em, accountIds: readonly string[]): Promise<ShadowUse[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${shadowUse.selectList} from shadow_use where account_id = any($1::text[])`,
    [accountIds],
  );
  return rows.map(shadowUse.read);
}

/** The named ones, and those of the accounts that are active past their expiry, at most so many of each. */
export async function loadShadowReservations(
  em: Em,
  named: readonly RowKey<string>[],
  accountIds: readonly string[],
  now: number,
  expiredMax: number,
): Promise<ShadowReservation[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${shadowReservations.selectListOf('r')}
     from unnest($1::text[], $2::uuid[]) as n(account_id, reservation_id)
     join shadow_reservations r using (account_id, reservation_id)
     union all
     select ${shadowReservations.selectListOf('r')}
     from unnest($3::text[]) as n(account_id)
     cross join lateral (
       select * from shadow_reservations
       where account_id = n.account_id and state = 'ACTIVE' and expires_at <= ${fromMillis('$4')}
       order by expires_at limit $5
     ) r`,
    [
      binaryArray('text', named, ({ accountId }) => accountId),
      binaryArray('uuid', named, ({ key }) => key),
      accountIds,
      now,
      expiredMax,
    ],
  );
  return rows.map(shadowReservations.read);
}

export async function loadShadowRequests(
  em: Em,
  keys: readonly RequestKey[],
): Promise<StoredRequest[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${shadowDecisions.selectListOf('d')} from shadow_decisions d
     join unnest($1::text[], $2::bytea[], $3::smallint[]) as n(account_id, request_id, method)
       using (account_id, request_id, method)`,
    [
      binaryArray('text', keys, ({ accountId }) => accountId),
      binaryArray('bytea', keys, ({ requestId }) => requestIdToBytes(requestId)),
      binaryArray('smallint', keys, ({ method }) => METHOD_CODES[method]),
    ],
  );
  return rows.map((row) => shadowDecisions.read(row) as StoredRequest);
}

type RefundableRow = Row & {
  readonly refunded: string;
  readonly start_seq: string | null;
  readonly start_at: number | null;
  readonly start_used_at: number | null;
  readonly refused: boolean;
};

/** Commits and charges by their seq, with what was refunded of each so far, and where their jobs began. */
export async function loadShadowRefundables(
  em: Em,
  keys: readonly RowKey<bigint>[],
): Promise<ShadowRefundable[]> {
  if (keys.length === 0) return [];
  const rows = await query<RefundableRow>(
    em,
    `select ${shadowDecisions.selectListOf('d')},
       (select coalesce(sum(r.credits), 0) from shadow_decisions r
        where r.account_id = d.account_id and r.refunded_seq = d.seq)::text as refunded,
       j.seq::text as start_seq, ${millis('j.at', 'start_at')}, (j.content ->> 't')::float8 as start_used_at,
       coalesce(j.refusal, d.refusal) is not null as refused
     from unnest($1::text[], $2::bigint[]) as n(account_id, seq)
     join shadow_decisions d using (account_id, seq)
     left join shadow_decisions j on j.account_id = d.account_id
       and j.reservation_id = d.reservation_id and j.kind = ${kindCodes('RESERVE')}
     where d.kind in (${kindCodes('COMMIT', 'CHARGE')})`,
    [
      binaryArray('text', keys, ({ accountId }) => accountId),
      binaryArray('bigint', keys, ({ key }) => key),
    ],
  );
  return rows.map((row) => {
    const { refunded, start_seq: seq, refused } = row;
    const at = row.start_used_at ?? row.start_at;
    const refundable = toRefundableEntry(shadowDecisions.read(row), BigInt(refunded));
    if (seq !== null && at !== null) refundable.start = { seq: BigInt(seq), at };
    return { ...refundable, isRefused: refused };
  });
}
