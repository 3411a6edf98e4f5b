/** Views and functions for people who read the ledger with SQL. The service itself uses none of them. */
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
        when 'o' then 'overage' when 'h' then 'overage_reserved'
        when 'c' then 'consumed' when 'x' then 'expired'
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
    erased_hash is not null as erased
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
    plan_id, rate_card_version, caller, reference, labels, entry_seq
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
  language sql
  begin atomic
    update entries set
      erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
      salt = null, fingerprint = null, response = null, reference = null, personal = null
    where account_id = of_account and seq = of_seq and erased_hash is null;
  end;

grant select on history, history_moves, history_usages, running_reservations to scrip_runtime;
`;
