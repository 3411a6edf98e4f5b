/**
 * No request was carried out twice. A unique index sees to it, but somebody with full access to the database
 * can drop it.
 */
import { METHOD_CODES } from '../store/tables/codes.ts';
import { requestIdToText } from '../store/tables/request-id.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import type { InRange } from './snapshot.ts';

const repeated = (inRange: InRange) => `
  select account_id, request_id, method, count(*)::int as times, min(seq) as first_seq, max(seq) as last_seq
  from entries where ${inRange('account_id')} and method is not null
  group by account_id, request_id, method having count(*) > 1
  order by account_id, first_seq`;

export async function checkRequests(group: AccountGroup): Promise<void> {
  for await (const row of group.snapshot.rows(repeated))
    if (findAccount(group, row, 'entries'))
      group.findings.add(
        row['account_id']!,
        `request ${requestIdToText(row['request_id'] ?? EMPTY)} of ${nameOf(row['method']!)}: carried out ` +
          `${row['times']} times, in entries ${row['first_seq']} to ${row['last_seq']}`,
      );
}

const EMPTY = new Uint8Array();

const nameOf = (code: number): string =>
  Object.entries(METHOD_CODES).find(([, other]) => other === code)?.[0] ?? `method ${code}`;
