/**
 * Compares request ids with the entries they caused: every entry that a caller requested has its request,
 * and no request was carried out twice.
 */
import type { Row } from '../pg/table.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import type { InRange } from './snapshot.ts';

/**
 * Methods that write an entry with every success. Others may change only states; a purchase may be
 * pending, and purchases.ts checks its request.
 */
const ALWAYS_WRITE = ['Reserve', 'RaiseReservation', 'Charge', 'Refund', 'GrantCredits'];

/** The requests that the entries name, joined with the stored requests. Returns only mismatches. */
const mismatches = (inRange: InRange) => `
  select account_id, request_id, method, o.entries, o.first_seq, o.last_seq, r.is_stored
  from (
    select e.account_id, e.request_id, m.method,
      count(*) filter (where e.kind <> 'GRANT' or m.method <> 'Refund') as entries,
      min(e.seq) as first_seq, max(e.seq) as last_seq
    from entries e
    left join grants g on e.kind = 'GRANT' and g.account_id = e.account_id and g.grant_id = e.grant_id
    left join (
      select account_id, grant_id from purchases where decision = 'ACCEPTED' and ${inRange('account_id')}
    ) accepted on e.kind = 'PURCHASE' and accepted.account_id = e.account_id and accepted.grant_id = e.grant_id
    cross join lateral (
      select case
        when e.kind = 'PLAN_CHANGE' then 'MoveAccount'
        when e.kind = 'RAISE' then 'RaiseReservation'
        when accepted.grant_id is not null then 'ResolvePurchase'
        when e.kind <> 'GRANT' then initcap(e.kind)
        when g.source = 'OPERATOR' then 'GrantCredits'
        when g.source = 'REFUND' then 'Refund'
        else 'OpenAccount'
      end as method
    ) m
    where ${inRange('e.account_id')} and e.request_id <> ''
    group by e.account_id, e.request_id, m.method
  ) o
  full join (
    select account_id, request_id, method, true as is_stored
    from requests where ${inRange('account_id')}
  ) r using (account_id, request_id, method)
  where is_stored is null
    or entries is null and method in (${ALWAYS_WRITE.map((method) => `'${method}'`).join(', ')})
    or entries > 1 and (method <> 'OpenAccount' or last_seq > 2)`;

export async function checkRequests(group: AccountGroup): Promise<void> {
  for await (const row of group.snapshot.rows(mismatches))
    if (findAccount(group, row, 'requests'))
      group.findings.add(row['account_id']!, requestMessage(row));
}

function requestMessage(row: Row): string {
  const name = `request ${row['request_id']} of ${row['method']}`;
  if (row['entries'] === null) return `${name}: it has no entry`;
  if (row['is_stored'] === null) return `entry ${row['first_seq']}: there is no ${name}`;
  return `${name}: carried out ${row['entries']} times, in entries ${row['first_seq']} to ${row['last_seq']}`;
}
