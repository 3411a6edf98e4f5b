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

  'a reservation agrees with its entries': `
    select account_id, format('reservation %s: row %s/%s/%s, entries %s/%s/%s', reservation_id,
      r.held, r.committed, r.returned, e.held, e.committed, e.returned) as detail
    from reservations r
    full join (
      select account_id, reservation_id,
        sum(case when kind in ('RESERVE', 'RAISE') then credits else 0 end) as credits,
        sum(held) as held, sum(committed) as committed,
        greatest(sum(returned) - sum(case when late then committed else 0 end), 0) as returned
      from entries
      left join (
        select account_id, seq,
          sum(credits * (target in ('reserved', 'overage_reserved'))::int
            - credits * (source in ('reserved', 'overage_reserved'))::int) as held,
          sum(credits * (target = 'consumed' and kind = 'COMMIT')::int) as committed,
          sum(credits * (source in ('reserved', 'overage_reserved')
            and target in ('available', 'overage', 'expired'))::int) as returned
        from moves group by account_id, seq) m using (account_id, seq)
      where reservation_id is not null
      group by account_id, reservation_id) e using (account_id, reservation_id)
    where r.credits is distinct from e.credits or r.held <> coalesce(e.held, 0)
      or r.committed <> coalesce(e.committed, 0) or r.returned <> coalesce(e.returned, 0)`,

  'a reservation ends once': `
    select account_id, format('reservation %s is %s after %s commits, %s releases, %s expiries',
      reservation_id, state, commits, releases, expiries) as detail
    from reservations
    join (
      select account_id, reservation_id,
        count(*) filter (where kind = 'RESERVE') as reserves,
        count(*) filter (where kind = 'COMMIT') as commits,
        count(*) filter (where kind = 'RELEASE') as releases,
        count(*) filter (where kind = 'EXPIRE') as expiries
      from entries group by account_id, reservation_id) e using (account_id, reservation_id)
    where reserves <> 1
      or not case state
        when 'ACTIVE' then releases = 0 and expiries = 0
        when 'COMMITTED' then commits > 0 and releases = 0 and expiries = late::int
        when 'RELEASED' then releases = 1 and expiries <= 1
        when 'EXPIRED' then releases = 0 and expiries = 1 end`,

  'a grant has reserved what is allocated to reservations': `
    select account_id, format('grant %s: %s, allocated %s', grant_id, g.reserved, r.allocated)
      as detail
    from grants g
    full join (
      select account_id, (allocation->>0)::bigint as grant_id,
        sum((allocation->>1)::bigint) as allocated
      from reservations cross join jsonb_array_elements(allocations) as allocation
      where allocation->>0 <> '0' group by 1, 2) r using (account_id, grant_id)
    where coalesce(g.reserved, -1) <> coalesce(r.allocated, 0)`,

  'a request takes effect once': `
    select account_id, format('%s entries %s of request %s', count(*), kind, request_id) as detail
    from entries e
    where request_id <> '' and not (kind = 'GRANT' and exists (select from requests r
      where r.account_id = e.account_id and r.request_id = e.request_id
        and r.method in ('OpenAccount', 'Refund')))
    group by account_id, kind, request_id having count(*) > 1`,

  'an entry and its request are written together': `
    select coalesce(e.account_id, r.account_id) as account_id,
      format('request %s: entry %s, remembered %s',
        coalesce(e.request_id, r.request_id), e.kind, r.method) as detail
    from (select distinct account_id, request_id, kind from entries where request_id <> '') e
    full join requests r on r.account_id = e.account_id and r.request_id = e.request_id
      and (upper(r.method) = e.kind
        or (e.kind = 'RAISE' and r.method = 'RaiseReservation')
        or (e.kind = 'PURCHASE' and r.method = 'ResolvePurchase')
        or (e.kind = 'GRANT' and r.method in ('GrantCredits', 'OpenAccount', 'Refund')))
    where r.request_id is null
      or (e.request_id is null
        and r.method in ('Reserve', 'RaiseReservation', 'Charge', 'Purchase', 'Refund',
          'GrantCredits'))`,

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
      from entries where kind = 'REFUND' group by 1, 2) e using (account_id, seq)
    where r.refunded is distinct from e.refunded or r.refunded > r.committed`,

  'an account is due when its next reservation expires': `
    select account_id, format('reservation %s expires before %s', reservation_id, due_at) as detail
    from reservations join accounts using (account_id)
    where reservations.state = 'ACTIVE' and expires_at < coalesce(due_at, 'infinity')`,

  'an account is due when notice of an expiry is due': `
    select account_id, format('notice of grant %s is due before %s', grant_id, due_at) as detail
    from grants join accounts using (account_id)
    where grants.state <> 'SCHEDULED' and grants.remaining > 0
      and notice_at < coalesce(due_at, 'infinity')`,

  'limited grants pay only for their operations': `
    select distinct account_id, format('entry %s, grant %s', m.seq, m.grant_id) as detail
    from moves m join grants g using (account_id, grant_id) join entries e using (account_id, seq)
    where g.operations is not null and m.source = 'available' and m.target <> 'expired' and not e.late
      and not exists (select from jsonb_array_elements(e.usages) as usage
        where g.operations ? (usage->>'operation'))`,
};

const moves = `with moves as (
  select account_id, seq, kind, move->>0 as source, move->>1 as target,
    (move->>2)::bigint as grant_id, (move->>3)::bigint as credits
  from entries cross join jsonb_array_elements(moves) as move)`;

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
      `${moves} ${sql} limit 5`,
    );
    for (const { account_id, detail } of rows) broken.push(`${rule}: ${account_id}: ${detail}`);
  }
  return broken;
}

/** Expects no violation from this audit or from `npm run verify`. */
export async function expectSoundLedger(databaseUrl: string): Promise<void> {
  expect(await audit(databaseUrl), `ledger of ${databaseUrl}`).toEqual([]);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
}
