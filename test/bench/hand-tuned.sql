-- The hand-tuned baseline: Reserve as one function, which is one round trip, and writes the rows that
-- the service writes: account and grant updated, reservation and entry inserted. The entry has the
-- request, and its hash is that of src/ledger/hash-chain.ts. hand-tuned.ts writes the hashes of the plan's
-- terms and rate card into the text: the service has them in memory.
create function bench_reserve(
  p_account text, p_request uuid, p_fingerprint bytea, p_credits bigint, p_usages text,
  p_version int, p_ttl interval, p_reference text, p_caller text, p_trace text, p_span text
) returns bytea language plpgsql as $$
declare
  c_reserve constant smallint := 5;         -- the codes are those of src/store/tables/codes.ts
  c_reserve_method constant smallint := 10;
  c_active constant smallint := 1;
  c_reject constant smallint := 1;
  v_account accounts;
  v_grant grants;
  v_before entries;
  v_at timestamptz(3);
  v_expires_at timestamptz(3);
  v_take bigint;
  v_missing bigint := p_credits;
  v_allocations text := '';
  v_moves text := '';
  v_content text;
  v_reservation uuid := uuidv7();
  v_salt bytea;
  v_hash bytea;
  v_response bytea;
begin
  select * into v_account from accounts where account_id = p_account for no key update;
  if not found then raise exception 'ACCOUNT_NOT_FOUND'; end if;
  select * into v_before from entries
    where request_id = uuid_send(p_request) and account_id = p_account and method = c_reserve_method;
  if found then
    if v_before.fingerprint = p_fingerprint then
      return uuid_send(v_before.reservation_id) || v_before.response;
    end if;
    raise exception 'REQUEST_ID_REUSED';
  end if;
  if v_account.state = 'CLOSED' then raise exception 'ACCOUNT_CLOSED'; end if;
  v_at := greatest(clock_timestamp(), v_account.last_at);
  v_expires_at := v_at + p_ttl;

  for v_grant in
    select * from grants
      where account_id = p_account and open and state <> 'SCHEDULED' and remaining > reserved
        and (expires_at is null or expires_at > v_at)
      order by priority, expires_at nulls last, paid, grant_id
  loop
    v_take := least(v_missing, v_grant.remaining - v_grant.reserved);
    update grants set reserved = reserved + v_take
      where account_id = p_account and grant_id = v_grant.grant_id;
    v_allocations := concat(v_allocations, ',[', v_grant.grant_id, ',', v_take, ']');
    v_moves := concat(v_moves, ',["ar",', v_grant.grant_id, ',', v_take, ']');
    v_missing := v_missing - v_take;
    exit when v_missing = 0;
  end loop;
  if v_missing > 0 then raise exception 'INSUFFICIENT_CREDITS'; end if;

  v_account.seq := v_account.seq + 1;
  v_account.reserved := v_account.reserved + p_credits;
  v_allocations := concat('[', substr(v_allocations, 2), ']');
  v_content := concat('{"m":[', substr(v_moves, 2), '],"u":', p_usages, ',"x":',
    (extract(epoch from v_expires_at) * 1000)::bigint, '}');
  -- As in the service, what a replay finds in other columns of the entry is not repeated here.
  v_response := convert_to(concat('{"state":"ACTIVE","credits":', p_credits, ',"allocations":', v_allocations,
    ',"remaining":', v_account.remaining, ',"reserved":', v_account.reserved, ',"seq":', v_account.seq, '}'),
    'UTF8');
  v_salt := substr(uuid_send(gen_random_uuid()), 1, 12);
  -- The empty lines are fields that a RESERVE does not have.
  v_hash := sha256(convert_to(array_to_string(array[
    encode(v_account.last_hash, 'hex'), p_account, v_account.seq::text, 'RESERVE',
    (extract(epoch from v_at) * 1000)::bigint::text, p_credits::text, v_account.remaining::text,
    v_account.reserved::text, v_account.overage::text, v_reservation::text, '', '', '',
    v_account.plan_id, p_version::text, 'TERMS_HASH', '', p_version::text, 'RATE_CARD_HASH', p_caller, p_request::text, 'Reserve',
    p_trace, p_span, v_content,
    encode(personal_hash(v_salt, p_fingerprint, v_response, p_reference, null), 'hex')
  ], E'\n'), 'UTF8'));

  update accounts set seq = v_account.seq, reserved = v_account.reserved, last_at = v_at,
      last_hash = v_hash, due_at = least(due_at, v_expires_at), version = version + 1
    where account_id = p_account;
  insert into reservations (account_id, reservation_id, state, over_commit_policy, rate_card_version,
      entry_seq, credits, committed, returned, created_at, expires_at, late, plan_id, allocations,
      caller, reference)
    values (p_account, v_reservation, c_active, c_reject, p_version, v_account.seq, p_credits, 0, 0,
      v_at, v_expires_at, false, v_account.plan_id, v_allocations::json, p_caller, p_reference);
  insert into entries (account_id, seq, at, credits, remaining_after, reserved_after, overage_after,
      plan_version, rate_card_version, kind, method, reservation_id, plan_id, caller, request_id,
      trace_id, span_id, content, hash, fingerprint, response, reference, salt)
    values (p_account, v_account.seq, v_at, p_credits, v_account.remaining, v_account.reserved,
      nullif(v_account.overage, 0), p_version, p_version, c_reserve, c_reserve_method, v_reservation,
      v_account.plan_id, p_caller, uuid_send(p_request), p_trace::uuid, decode(p_span, 'hex'),
      v_content::json, v_hash, p_fingerprint, v_response, p_reference, v_salt);
  return uuid_send(v_reservation) || v_response;
end $$;
