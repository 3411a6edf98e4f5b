-- The hand-tuned baseline: Reserve as one function, which is one round trip, and writes the rows that
-- the service writes: account and grant updated, reservation, entry and request inserted.
create function bench_reserve(
  p_account text, p_request text, p_fingerprint bytea, p_credits bigint, p_usages jsonb,
  p_version int, p_ttl interval, p_reference text, p_caller text, p_trace text, p_span text
) returns bytea language plpgsql as $$
declare
  v_account accounts;
  v_grant grants;
  v_before requests;
  v_at timestamptz(3);
  v_take bigint;
  v_missing bigint := p_credits;
  v_allocations jsonb := '[]';
  v_moves jsonb := '[]';
  v_reservation uuid := uuidv7();
  v_hash bytea;
  v_response bytea;
begin
  select * into v_account from accounts where account_id = p_account for no key update;
  if not found then raise exception 'ACCOUNT_NOT_FOUND'; end if;
  select * into v_before from requests
    where account_id = p_account and request_id = p_request and method = 'Reserve';
  if found then
    if v_before.fingerprint = p_fingerprint then return v_before.response; end if;
    raise exception 'REQUEST_ID_REUSED';
  end if;
  if v_account.state = 'CLOSED' then raise exception 'ACCOUNT_CLOSED'; end if;
  v_at := greatest(clock_timestamp(), v_account.last_at);

  for v_grant in
    select * from grants
      where account_id = p_account and open and state <> 'SCHEDULED' and remaining > reserved
        and (expires_at is null or expires_at > v_at)
      order by priority, expires_at nulls last, category = 'PAID', grant_id
  loop
    v_take := least(v_missing, v_grant.remaining - v_grant.reserved);
    update grants set reserved = reserved + v_take
      where account_id = p_account and grant_id = v_grant.grant_id;
    v_allocations := v_allocations || jsonb_build_array(jsonb_build_array(v_grant.grant_id, v_take));
    v_moves := v_moves
      || jsonb_build_array(jsonb_build_array('available', 'reserved', v_grant.grant_id, v_take));
    v_missing := v_missing - v_take;
    exit when v_missing = 0;
  end loop;
  if v_missing > 0 then raise exception 'INSUFFICIENT_CREDITS'; end if;

  v_account.seq := v_account.seq + 1;
  v_account.reserved := v_account.reserved + p_credits;
  v_hash := sha256(convert_to(jsonb_build_array(
    encode(v_account.last_hash, 'hex'), p_account, v_account.seq, 'RESERVE', v_at, v_moves, p_credits,
    v_account.remaining, v_account.reserved, v_account.overage, v_reservation, p_usages, p_version,
    p_caller, p_request, p_reference, p_trace, p_span)::text, 'UTF8'));

  update accounts set seq = v_account.seq, reserved = v_account.reserved, last_at = v_at,
      last_hash = v_hash, due_at = least(due_at, v_at + p_ttl), version = version + 1
    where account_id = p_account;
  insert into reservations (account_id, reservation_id, state, credits, held, committed, returned,
      allocations, expired_allocations, expires_at, created_at, over_commit_policy, plan_id, rate_card_version, reference,
      labels, late)
    values (p_account, v_reservation, 'ACTIVE', p_credits, p_credits, 0, 0, v_allocations,
      '[]', v_at + p_ttl, v_at, 'REJECT', v_account.plan_id, p_version, p_reference, '{}', false);
  insert into entries (account_id, seq, kind, at, moves, credits, remaining_after, reserved_after,
      overage_after, reservation_id, usages, plan_id, rate_card_version, late, caller, request_id,
      reference, labels, trace_id, span_id, hash)
    values (p_account, v_account.seq, 'RESERVE', v_at, v_moves, p_credits, v_account.remaining,
      v_account.reserved, v_account.overage, v_reservation, p_usages, v_account.plan_id, p_version,
      false, p_caller, p_request, p_reference, '{}', p_trace, p_span, v_hash);
  v_response := convert_to(jsonb_build_object('reservation_id', v_reservation, 'state', 'ACTIVE',
    'credits', p_credits, 'expires_at', v_at + p_ttl, 'allocations', v_allocations,
    'remaining', v_account.remaining, 'reserved', v_account.reserved, 'seq', v_account.seq)::text,
    'UTF8');
  insert into requests (account_id, request_id, method, fingerprint, response, at)
    values (p_account, p_request, 'Reserve', p_fingerprint, v_response, v_at);
  return v_response;
end $$;
