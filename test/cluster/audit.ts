/**
 * An independent audit of a ledger, in SQL alone: it recomputes everything from the moves of the entries
 * and compares it with the other tables. It shares no code with the service, so it cannot share its
 * mistakes.
 */
import pg from 'pg';
import { expect } from 'vitest';
import { verify } from '../../src/verify/verify.ts';

/** A query for each rule of the ledger. It returns the accounts that break the rule. */
export const rules: Readonly<Record<string, string>> = {
  'seq is 1, 2, 3 … without gaps': `
    select account_id, format('seq %s, %s entries, newest %s', a.seq, e.entries, e.newest) as detail
    from accounts a
    full join (select account_id, count(*) as entries, min(seq) as oldest, max(seq) as newest
      from entries group by account_id) e using (account_id)
    where a.seq is distinct from coalesce(e.entries, 0)
      or a.seq is distinct from coalesce(e.newest, 0) or e.oldest > 1`,

  'time never runs backwards': `
    select account_id, format('entry %s', seq) as detail
    from (select account_id, seq, at, lag(at) over (partition by account_id order by seq) as before
      from entries) e
    where at < before`,

  'a grant has what its moves left in it': `
    select account_id, format('grant %s: rows %s/%s, moves %s/%s', grant_id,
      g.remaining, g.reserved, m.remaining, m.reserved) as detail
    from grants g
    full join (
      select account_id, grant_id,
        sum(credits * (target in ('available', 'reserved'))::int
          - credits * (source in ('available', 'reserved'))::int) as remaining,
        sum(credits * (target = 'reserved')::int - credits * (source = 'reserved')::int) as reserved
      from moves where grant_id > 0 group by account_id, grant_id) m using (account_id, grant_id)
    where g.remaining is distinct from coalesce(m.remaining, 0)
      or g.reserved is distinct from coalesce(m.reserved, 0)`,

  'a move takes no more credits than there are': `
    select account_id, format('grant %s at entry %s', grant_id, seq) as detail
    from (
      select account_id, grant_id, seq,
        sum(credits * (target = 'available')::int - credits * (source = 'available')::int)
          over up_to_here as available,
        sum(credits * (target = 'reserved')::int - credits * (source = 'reserved')::int)
          over up_to_here as reserved
      from moves where grant_id > 0
      window up_to_here as (partition by account_id, grant_id order by seq)) m
    where available < 0 or reserved < 0`,

  'an account has the sum of its grants': `
    select account_id, format('account %s/%s of %s grants, grants %s/%s of %s',
      a.remaining, a.reserved, a.grant_count, g.remaining, g.reserved, g.grants) as detail
    from accounts a
    left join (select account_id, count(*) as grants, max(grant_id) as newest,
        sum(remaining) as remaining, sum(reserved) as reserved
      from grants group by account_id) g using (account_id)
    where a.remaining <> coalesce(g.remaining, 0) or a.reserved <> coalesce(g.reserved, 0)
      or a.grant_count <> coalesce(g.grants, 0) or a.grant_count <> coalesce(g.newest, 0)`,

  'an entry has the balance after it': `
    select account_id, format('entry %s: says %s/%s, moves %s/%s', seq,
      e.remaining_after, e.reserved_after, m.remaining, m.reserved) as detail
    from entries e
    join (
      select account_id, seq,
        sum(coalesce(remaining, 0)) over up_to_here as remaining,
        sum(coalesce(reserved, 0)) over up_to_here as reserved
      from entries
      left join (
        select account_id, seq,
          sum(credits * (target in ('available', 'reserved'))::int
            - credits * (source in ('available', 'reserved'))::int) as remaining,
          sum(credits * (target in ('reserved', 'overage_reserved'))::int
            - credits * (source in ('reserved', 'overage_reserved'))::int) as reserved
        from moves group by account_id, seq) m using (account_id, seq)
      window up_to_here as (partition by account_id order by seq)) m using (account_id, seq)
    where e.remaining_after <> m.remaining or e.reserved_after <> m.reserved`,

  'available never goes below zero, or the overage limit': `
    select account_id, format('entry %s', e.seq) as detail
    from entries e join accounts using (account_id)
    where remaining_after - reserved_after < -overage_limit`,

  'reserved overage is that of active reservations': `
    select account_id, format('account %s, moves %s', a.overage_reserved, m.reserved) as detail
    from accounts a
    left join (
      select account_id, sum(credits * (target = 'overage_reserved')::int
        - credits * (source = 'overage_reserved')::int) as reserved
      from moves group by account_id) m using (account_id)
    where a.overage_reserved <> coalesce(m.reserved, 0)`,

  'an account owes what its moves say': `
    select a.account_id, format('account %s, moves %s, newest entry %s', a.owed, m.owed, e.owed_after) as detail
    from accounts a
    left join (
      select account_id, sum(credits * (source = 'owed')::int - credits * (target = 'owed')::int) as owed
      from moves group by account_id) m using (account_id)
    left join history e on e.account_id = a.account_id and e.seq = a.seq
    where coalesce(a.owed, 0) <> coalesce(m.owed, 0) or coalesce(a.owed, 0) <> coalesce(e.owed_after, 0)`,

  'a running reservation agrees with its entries': `
    select account_id, format('reservation %s: row %s/%s, entries %s/%s/%s', reservation_id,
      r.committed, r.returned, e.held, e.committed, e.returned) as detail
    from reservations r
    full join (select * from reservation_sums where not ended) e using (account_id, reservation_id)
    where r.credits is distinct from e.credits or r.entry_seq is distinct from e.first_seq
      or r.committed <> e.committed or r.returned <> e.returned
      or e.held <> (select coalesce(sum((allocation->>1)::bigint), 0)
        from json_array_elements(r.allocations) as allocation)`,

  'an ended reservation holds nothing': `
    select account_id, format('reservation %s: %s held, %s committed and %s returned of %s',
      reservation_id, held, committed, returned, credits) as detail
    from reservation_sums
    where ended and (held <> 0 or committed + returned < credits)`,

  'a reservation ends once': `
    select account_id, format('reservation %s is %s after %s commits, %s releases, %s expiries',
      reservation_id, r.state, commits, releases, expiries) as detail
    from reservation_sums e
    left join running_reservations r using (account_id, reservation_id)
    where reserves <> 1 or last_commits + releases <> ended::int or end_seq <> last_seq
      or not case
        when r.state = 'ACTIVE' then expiries = 0
        when r.state = 'EXPIRED' or last_commits = 0 then expiries <= 1
        else expiries = e.late::int end
      or (r.state = 'EXPIRED' and expiries <> 1)`,

  'a grant has reserved what is allocated to reservations': `
    select account_id, format('grant %s: %s, allocated %s', grant_id, g.reserved, r.allocated)
      as detail
    from grants g
    full join (
      select account_id, (allocation->>0)::bigint as grant_id,
        sum((allocation->>1)::bigint) as allocated
      from reservations cross join json_array_elements(allocations) as allocation
      where allocation->>0 <> '0' group by 1, 2) r using (account_id, grant_id)
    where coalesce(g.reserved, -1) <> coalesce(r.allocated, 0)`,

  'a request takes effect once': `
    select account_id, format('%s entries %s of request %s', count(*), kind, request_id) as detail
    from history e
    where request_id is not null and not (kind = 'GRANT' and exists (select from history r
      where r.account_id = e.account_id and r.request_id = e.request_id
        and r.method in ('OpenAccount', 'Refund')))
    group by account_id, kind, request_id having count(*) > 1`,

  'the first entry of a request has its method, and the others follow': `
    select account_id, format('entry %s: %s of method %s', seq, kind, method) as detail
    from (select *, lag(request_id) over (partition by account_id order by seq) as request_before
      from history where kind <> 'PAY_OWED') e
    where request_id is not null and not case
      when method is not null then kind = any(case method
        when 'OpenAccount' then '{OPEN_ACCOUNT}'
        when 'ImportAccount' then '{OPEN_ACCOUNT}'
        when 'UpdateAccount' then '{UPDATE_ACCOUNT}'
        when 'SetShadowMode' then '{UPDATE_ACCOUNT}'
        when 'CloseAccount' then '{CLOSE_ACCOUNT}'
        when 'EraseAccountData' then '{ERASE_ACCOUNT_DATA}'
        when 'MoveAccount' then '{PLAN_CHANGE}'
        when 'GrantCredits' then '{GRANT}'
        when 'VoidGrant' then '{VOID_GRANT}'
        when 'SuspendAccount' then '{SUSPEND_ACCOUNT}'
        when 'ResumeAccount' then '{RESUME_ACCOUNT}'
        when 'SetBudget' then '{SET_BUDGET}'
        when 'RemoveBudget' then '{REMOVE_BUDGET}'
        when 'UpdateGrant' then '{UPDATE_GRANT}'
        when 'OfferPack' then '{OFFER_PACK}'
        when 'WithdrawPack' then '{WITHDRAW_PACK}'
        when 'Purchase' then '{PURCHASE,CHECKOUT}'
        when 'ResolvePurchase' then '{PURCHASE,REJECT_PURCHASE}'
        when 'Reserve' then '{RESERVE}'
        when 'RaiseReservation' then '{RAISE}'
        when 'ExtendReservation' then '{EXTEND}'
        when 'Commit' then '{COMMIT}'
        when 'Release' then '{RELEASE}'
        when 'Charge' then '{CHARGE}'
        when 'Refund' then '{REFUND}' end::text[])
      when kind in ('GRANT', 'CLAW_BACK', 'IMPORT') then request_before is not distinct from request_id
      else kind = 'PURCHASE' and (request_before is not distinct from request_id or exists (select from history c
        where c.account_id = e.account_id and c.request_id = e.request_id and c.kind = 'CHECKOUT')) end`,

  'an entry with a method has the request and its response': `
    select account_id, format('entry %s', seq) as detail
    from entries
    where (method is not null and erased_hash is null)
      is distinct from (fingerprint is not null and response is not null)`,

  'what a grant voids is what its entries say': `
    select account_id, format('grant %s: %s voided and %s to be, entries say %s and %s', grant_id,
      g.voided, g.void_on_return, coalesce(e.voided, 0) + coalesce(m.returned, 0),
      coalesce(e.on_return, 0) - coalesce(m.returned, 0)) as detail
    from grants g
    left join (
      select account_id, grant_id, sum(credits) as voided,
        coalesce(sum((details ->> 'void_on_return')::bigint), 0) as on_return
      from history where kind = 'VOID_GRANT' group by 1, 2) e using (account_id, grant_id)
    left join (
      select account_id, grant_id, sum(credits) as returned
      from moves where target = 'voided' and source <> 'available' group by 1, 2
    ) m using (account_id, grant_id)
    where coalesce(g.voided, 0) <> coalesce(e.voided, 0) + coalesce(m.returned, 0)
      or coalesce(g.void_on_return, 0) <> coalesce(e.on_return, 0) - coalesce(m.returned, 0)`,

  'a paid purchase makes one grant': `
    select account_id, format('purchase %s', purchase_id) as detail
    from purchases p
    where state = 'PAID' and (select count(*) from grants g where g.account_id = p.account_id
      and g.source = 'PURCHASE' and g.source_reference = p.purchase_id::text
      and g.grant_id = p.grant_id and g.amount = p.credits) <> 1`,

  'a period has one allowance': `
    select account_id, format('%s allowances of %s', count(*), source_reference) as detail
    from grants where source = 'ALLOWANCE'
    group by account_id, source_reference having count(*) > 1`,

  'no more is refunded than was committed': `
    select account_id, format('entry %s: %s refunded, entries say %s', seq, r.refunded, e.refunded)
      as detail
    from refunded r
    full join (select account_id, refunded_seq as seq, sum(credits) as refunded
      from history where kind = 'REFUND' group by 1, 2) e using (account_id, seq)
    where r.refunded is distinct from e.refunded or r.refunded > r.committed`,

  'an account is due when its next reservation expires': `
    select account_id, format('reservation %s expires before %s', reservation_id, due_at) as detail
    from reservations join accounts using (account_id)
    where reservations.state = 1 and expires_at < coalesce(due_at, 'infinity')`,

  'an account is due when notice of an expiry is due': `
    select account_id, format('notice of grant %s is due before %s', grant_id, due_at) as detail
    from grants join accounts using (account_id)
    where grants.state <> 'SCHEDULED' and grants.remaining > 0
      and notice_at < coalesce(due_at, 'infinity')`,

  'limited grants pay only for their operations': `
    select distinct account_id, format('entry %s, grant %s', m.seq, m.grant_id) as detail
    from moves m join grants g using (account_id, grant_id) join history e using (account_id, seq)
    where g.operations is not null and m.source = 'available' and m.target not in ('expired', 'voided') and not e.late
      and not exists (select from history u where u.account_id = m.account_id
        and u.grant_id = m.grant_id and u.kind = 'UPDATE_GRANT' and u.seq > m.seq)
      and not exists (select from history_usages u
        where u.account_id = m.account_id and u.seq = m.seq and g.operations ? u.operation)`,
};

/** What the rules read beside the tables. */
const SUMS = `with moves as (
    select account_id, seq, from_bucket as source, to_bucket as target,
      coalesce(grant_id, 0) as grant_id, credits
    from history_moves),
  reservation_sums as (
    select account_id, reservation_id,
      min(seq) filter (where kind = 'RESERVE') as first_seq,
      max(seq) filter (where kind <> 'REFUND') as last_seq,
      max(seq) filter (where final or kind = 'RELEASE') as end_seq,
      bool_or(coalesce(final, false) or kind = 'RELEASE') as ended,
      bool_or(late) as late,
      count(*) filter (where kind = 'RESERVE') as reserves,
      count(*) filter (where kind = 'COMMIT') as commits,
      count(*) filter (where final) as last_commits,
      count(*) filter (where kind = 'RELEASE') as releases,
      count(*) filter (where kind = 'EXPIRE') as expiries,
      sum(case when kind in ('RESERVE', 'RAISE') then credits else 0 end) as credits,
      coalesce(sum(held), 0) as held,
      coalesce(sum(consumed) filter (where kind = 'COMMIT'), 0) as committed,
      greatest(coalesce(sum(returned), 0)
        - coalesce(sum(consumed) filter (where late), 0), 0) as returned
    from history
    left join (
      select account_id, seq,
        sum(credits * (target in ('reserved', 'overage_reserved'))::int
          - credits * (source in ('reserved', 'overage_reserved'))::int) as held,
        sum(credits * (target = 'consumed')::int) as consumed,
        sum(credits * (source in ('reserved', 'overage_reserved')
          and target in ('available', 'overage', 'expired', 'voided'))::int) as returned
      from moves group by account_id, seq) m using (account_id, seq)
    where reservation_id is not null
    group by account_id, reservation_id)`;

/** The violations, one line each. All rules see the same snapshot. */
export async function audit(databaseUrl: string): Promise<readonly string[]> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    return await brokenRules(client);
  } finally {
    await client.end();
  }
}

export async function brokenRules(client: pg.Client): Promise<readonly string[]> {
  const broken: string[] = [];
  for (const [rule, sql] of Object.entries(rules)) {
    const { rows } = await client.query<{ account_id: string; detail: string }>(
      `${SUMS} ${sql} limit 5`,
    );
    for (const { account_id, detail } of rows) broken.push(`${rule}: ${account_id}: ${detail}`);
  }
  return broken;
}

/** Expects no violation from this audit or from `npm run verify`. */
export async function expectSoundLedger(databaseUrl: string): Promise<void> {
  expect(await audit(databaseUrl), `ledger of ${databaseUrl}`).toEqual([]);
  const verified = await verify(databaseUrl);
  expect(verified.ok ? [] : verified.discrepancies, `ledger of ${databaseUrl}`).toEqual([]);
}
