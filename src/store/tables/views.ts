/** Views and functions for people who read the ledger with SQL. The service itself uses only the last of them. */
import { PERSONAL_EVENT_TYPES } from '../../ledger/event.ts';
import {
  KIND_CODES,
  METHOD_CODES,
  OVER_COMMIT_POLICY_CODES,
  RESERVATION_STATE_CODES,
} from './codes.ts';

/** A case expression that spells the codes of a column. */
const spelled = (column: string, codes: Readonly<Record<string, number>>): string =>
  `case ${column}\n${Object.entries(codes)
    .map(([name, code]) => `      when ${code} then '${name}'`)
    .join('\n')}\n    end`;

const bucket = (letter: string): string => `case ${letter}
        when 'i' then 'issued' when 'a' then 'available' when 'r' then 'reserved'
        when 'o' then 'overage' when 'h' then 'overage_reserved' when 'w' then 'owed'
        when 'c' then 'consumed' when 'x' then 'expired' when 'v' then 'voided'
      end`;

export const VIEWS = `\
-- Request ids are stored as bytes: a UUID in 16, any other as UTF-8. One that would be taken for a UUID
-- because of its length is preceded by a zero byte.
create function request_id_to_text(id bytea) returns text
  immutable strict parallel safe
  return case
    when length(id) = 16 then encode(id, 'hex')::uuid::text
    when get_byte(id, 0) = 0 then convert_from(substr(id, 2), 'UTF8')
    else convert_from(id, 'UTF8')
  end;

-- To look for a request id: where request_id = request_id_to_bytes('…') and method is not null.
create function request_id_to_bytes(id text) returns bytea
  immutable strict parallel safe
  return case
    when id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
      then decode(replace(id, '-', ''), 'hex')
    when octet_length(id) = 16 then '\\x00'::bytea || convert_to(id, 'UTF8')
    else convert_to(id, 'UTF8')
  end;

-- The slot of an account, which has a cell: see docs/cells.md.
create function account_slot(id text) returns int
  immutable strict parallel safe
  return ('x' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 3))::bit(12)::int;

-- Entries in words, e.g.: select * from history where account_id = '…' order by seq.
create view history as
  select
    account_id, seq, at,
    ${spelled('kind', KIND_CODES)} as kind,
    credits, remaining_after, reserved_after, coalesce(overage_after, 0) as overage_after,
    reservation_id, purchase_id, grant_id, refunded_seq,
    plan_id, plan_version, rate_card_version, previous_plan_id,
    caller, personal ->> 'on_behalf_of' as on_behalf_of, content ->> 'c' as certificate,
    request_id_to_text(request_id) as request_id,
    ${spelled('method', METHOD_CODES)} as method,
    reference,
    personal -> 'labels' as labels,
    replace(trace_id::text, '-', '') as trace_id, encode(span_id, 'hex') as span_id,
    coalesce((content ->> 'l')::boolean, false) as late,
    case when kind = ${KIND_CODES.COMMIT} then coalesce((content ->> 'f')::boolean, true) end as final,
    (content ->> 'a')::bigint as asked,
    to_timestamp((content ->> 'x')::bigint / 1000.0) as expires_at,
    case when kind = ${KIND_CODES.RESERVE} then coalesce(content ->> 'p', 'REJECT') end as over_commit_policy,
    content -> 'd' as details,
    personal,
    content -> 'm' as moves, content -> 'u' as usages,
    erased_hash is not null as erased,
    coalesce((content ->> 'w')::bigint, 0) as owed_after,
    to_timestamp((content ->> 't')::bigint / 1000.0) as used_at
  from entries;

-- The moves of entries, one per row. Every balance is a sum of moves.
create view history_moves as
  select
    e.account_id, e.seq, e.at, m.number,
    ${bucket('left(m.move ->> 0, 1)')} as from_bucket,
    ${bucket('right(m.move ->> 0, 1)')} as to_bucket,
    nullif((m.move ->> 1)::bigint, 0) as grant_id,
    (m.move ->> 2)::bigint as credits
  from entries e
  cross join json_array_elements(e.content -> 'm') with ordinality as m(move, number);

-- The priced usages of entries, one per row.
create view history_usages as
  select
    e.account_id, e.seq, e.at, u.number,
    u.usage ->> 0 as operation,
    (u.usage ->> 1)::bigint as count,
    (u.usage ->> 2)::bigint as unit_credits,
    (u.usage ->> 1)::bigint * (u.usage ->> 2)::bigint as credits,
    coalesce(u.usage -> 3, '{}') as quantities,
    coalesce(u.usage -> 4, '{}') as attributes,
    coalesce((u.usage ->> 5)::boolean, true) as billable
  from entries e
  cross join json_array_elements(e.content -> 'u') with ordinality as u(usage, number);

-- Reservations that are running or have expired, in words. Of others only the entries are left.
create view running_reservations as
  select
    account_id, reservation_id,
    ${spelled('state', RESERVATION_STATE_CODES)} as state,
    credits, committed, returned, allocations, expired_allocations, held_for,
    created_at, expires_at, late,
    ${spelled('over_commit_policy', OVER_COMMIT_POLICY_CODES)} as over_commit_policy,
    plan_id, rate_card_version, caller, reference, labels, entry_seq, held_by_operation, used_at
  from reservations;

-- The salted hash of an entry's personal data and request. The hash chain covers this hash.
create function personal_hash(
  salt bytea, fingerprint bytea, response bytea, reference text, personal json
) returns bytea
  stable parallel safe
  return sha256(convert_to(
    coalesce(encode(salt, 'hex'), '') || E'\\n' || coalesce(encode(fingerprint, 'hex'), '') || E'\\n' ||
    coalesce(encode(response, 'hex'), '') || E'\\n' || coalesce(reference, '') || E'\\n' ||
    coalesce(personal::text, ''), 'UTF8'));

-- Erases the personal data of an entry, with the request and response that repeat it. The chain stays
-- whole. Only the owner of the database may: the service's role has no privilege to change entries.
create function erase_entry(of_account text, of_seq bigint) returns void
  language plpgsql
  as $$
begin
  update entries set
    erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
    salt = null, fingerprint = null, response = null, reference = null, personal = null
  where account_id = of_account and seq = of_seq and erased_hash is null;
end
$$;

-- Erases what was written of persons before an ERASE_ACCOUNT_DATA entry of a closed account. One call erases
-- at most so many rows of a table: with after_seq 0 those beside the entries, until there are none, then entries
-- after after_seq. Returns the seq up to which entries are erased; null where there is no such entry, or the
-- account is open. It runs with the privileges of its owner, and does nothing but erase: the service's role
-- has no privilege to change these columns. Its language is PL/pgSQL, as Citus refuses statements of SQL functions
-- that have parameters.
create function erase_account_data(
  of_account text, of_seq bigint, after_seq bigint, at_most int
) returns bigint
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
  as $$
declare
  erased_to bigint;
begin
  perform 1 from accounts where account_id = of_account for no key update;
  with erasure as (
    select a.account_id, (e.content -> 'd' ->> 'events')::bigint as event_seq
    from accounts a join entries e using (account_id)
    where a.account_id = of_account and a.state = 'CLOSED'
      and e.seq = of_seq and e.kind = ${KIND_CODES.ERASE_ACCOUNT_DATA}
  ), erased_purchases as (
    update purchases p set
      labels = '{}', customer_email = null, decision_reason = left(decision_reason, 0),
      payment_reference = left(payment_reference, 0),
      payment_reference_key = case when payment_reference_key is not null then purchase_id::text end,
      success_url = left(success_url, 0), cancel_url = left(cancel_url, 0),
      checkout_url = left(checkout_url, 0), customer = left(customer, 0),
      payment_method = left(payment_method, 0)
    where (account_id, purchase_id) in (
      select account_id, purchase_id from erasure join purchases using (account_id)
      where after_seq = 0 and (labels <> '{}' or payment_reference_key <> purchase_id::text
        or concat(payment_reference, customer_email, decision_reason, success_url, cancel_url,
          checkout_url, customer, payment_method) <> '')
      limit at_most)
    returning 1
  ), erased_reservations as (
    update reservations set reference = null, labels = null
    where (account_id, reservation_id) in (
      select account_id, reservation_id from erasure join reservations using (account_id)
      where after_seq = 0 and num_nonnulls(reference, labels) > 0
      limit at_most)
    returning 1
  ), erased_grants as (
    update grants set source_reference = ''
    where (account_id, grant_id) in (
      select account_id, grant_id from erasure join grants using (account_id)
      where after_seq = 0 and source = 'OPERATOR' and source_reference <> ''
      limit at_most)
    returning 1
  ), erased_events as (
    update events set data = '{}', salt = null
    where (account_id, event_id) in (
      select account_id, event_id from erasure join events using (account_id)
      where after_seq = 0 and seq <= event_seq and salt is not null
        and type in (${PERSONAL_EVENT_TYPES.map((type) => `'${type}'`).join(', ')})
      limit at_most)
    returning 1
  ), erased_deliveries as (
    -- An endpoint may have answered with what it was sent.
    update deliveries set last_error = ''
    where (account_id, event_id) in (
      select account_id, event_id
      from erasure join events using (account_id) join deliveries using (account_id, event_id)
      where after_seq = 0 and seq <= event_seq and last_error <> ''
      limit at_most)
    returning 1
  ), erased_counters as (
    -- Their values are those of labels. A closed account counts nothing any more.
    delete from budget_counters
    where (account_id, since, period_from, value) in (
      select account_id, since, period_from, value
      from erasure join budget_counters using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_decisions as (
    -- They moved no credits: nothing is left of shadow mode but when it was.
    delete from shadow_decisions
    where (account_id, seq) in (
      select account_id, seq from erasure join shadow_decisions using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_jobs as (
    delete from shadow_reservations
    where (account_id, reservation_id) in (
      select account_id, reservation_id from erasure join shadow_reservations using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_use as (
    delete from shadow_use
    where account_id in (
      select account_id from erasure join shadow_use using (account_id) where after_seq = 0)
    returning 1
  ), forgotten_keys as (
    -- Of entries in files, only what is encrypted is personal.
    update archived_accounts set key = null
    where account_id in (select account_id from erasure where after_seq = 0) and key is not null
    returning 1
  ), rows_beside as (
    select (select count(*) from erased_purchases) + (select count(*) from erased_reservations)
      + (select count(*) from erased_grants) + (select count(*) from erased_events)
      + (select count(*) from erased_deliveries) + (select count(*) from erased_counters)
      + (select count(*) from erased_decisions) + (select count(*) from erased_jobs)
      + (select count(*) from erased_use)
      + (select count(*) from forgotten_keys) as erased
  ), changed_account as (
    -- Replicas that have the account in memory read it again.
    update accounts set version = version + 1
    where account_id in (select account_id from erasure, rows_beside where erased > 0)
  ), erased_entries as (
    update entries set
      erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
      salt = null, fingerprint = null, response = null, reference = null, personal = null
    where account_id in (select account_id from erasure, rows_beside where erased = 0)
      and account_id = of_account and seq > after_seq and seq <= after_seq + at_most and seq < of_seq
      and kind <> ${KIND_CODES.ERASE_ACCOUNT_DATA} and salt is not null
    returning 1
  )
  select case
      when erased > 0 then after_seq
      when (select count(*) from erased_entries) >= 0 then least(after_seq + at_most, of_seq)
    end
  into erased_to
  from erasure, rows_beside;
  return erased_to;
end
$$;
-- Its tables are those of its own schema, whoever calls it.
do $$
begin
  execute format(
    'alter function erase_account_data(text, bigint, bigint, int) set search_path = %I, pg_temp',
    current_schema());
end
$$;
revoke all on function erase_account_data(text, bigint, bigint, int) from public;
grant execute on function erase_account_data(text, bigint, bigint, int) to scrip_runtime;

grant select on history, history_moves, history_usages, running_reservations to scrip_runtime;

-- scrip archive deletes archived entries under this role, which cannot write any, and can change no balance.
grant select on accounts, statements, usage_positions, roll_forward_positions, reservations
  to scrip_archiver;
grant select, delete on entries to scrip_archiver;
grant select, insert, update (finished_at) on archive_files to scrip_archiver;
grant select, insert, update (seq, at, requests_seq) on archived_accounts to scrip_archiver;
grant select, insert, delete on archived_requests to scrip_archiver;
`;
