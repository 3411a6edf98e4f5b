import { Migration } from '@mikro-orm/migrations';

/**
 * What concerns several of the migrations before it, once: the kinds and methods of entries, the views that show them, and
 * what is erased with an account's data.
 */
export class Migration0014EntryKinds extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table entries
  drop constraint entries_kind_check,
  add constraint entries_kind_check check (kind >= 1 and kind <= 33),
  drop constraint entries_request_check,
  add constraint entries_request_check check (
    method >= 1 and method <= 28 and (method is null or request_id is not null)
  );

create or replace view history as
  select
    account_id, seq, at,
    case kind
      when 1 then 'GRANT'
      when 2 then 'GRANT_EFFECTIVE'
      when 3 then 'GRANT_EXPIRED'
      when 4 then 'PURCHASE'
      when 5 then 'RESERVE'
      when 6 then 'COMMIT'
      when 7 then 'RELEASE'
      when 8 then 'EXPIRE'
      when 9 then 'CHARGE'
      when 10 then 'REFUND'
      when 11 then 'PLAN_CHANGE'
      when 12 then 'RAISE'
      when 13 then 'EXTEND'
      when 14 then 'OPEN_ACCOUNT'
      when 15 then 'UPDATE_ACCOUNT'
      when 16 then 'CLOSE_ACCOUNT'
      when 17 then 'OFFER_PACK'
      when 18 then 'WITHDRAW_PACK'
      when 19 then 'CHECKOUT'
      when 20 then 'CLAW_BACK'
      when 21 then 'REINSTATE'
      when 22 then 'REJECT_PURCHASE'
      when 23 then 'PAYMENT'
      when 24 then 'ERASE_ACCOUNT_DATA'
      when 25 then 'VOID_GRANT'
      when 26 then 'UPDATE_GRANT'
      when 27 then 'SUSPEND_ACCOUNT'
      when 28 then 'RESUME_ACCOUNT'
      when 29 then 'SET_BUDGET'
      when 30 then 'REMOVE_BUDGET'
      when 31 then 'IMPORT'
      when 32 then 'CHECKPOINT'
      when 33 then 'PAY_OWED'
    end as kind,
    credits, remaining_after, reserved_after, coalesce(overage_after, 0) as overage_after,
    reservation_id, purchase_id, grant_id, refunded_seq,
    plan_id, plan_version, rate_card_version, previous_plan_id,
    caller, personal ->> 'on_behalf_of' as on_behalf_of, content ->> 'c' as certificate,
    request_id_to_text(request_id) as request_id,
    case method
      when 1 then 'OpenAccount'
      when 2 then 'UpdateAccount'
      when 3 then 'CloseAccount'
      when 4 then 'MoveAccount'
      when 5 then 'GrantCredits'
      when 6 then 'OfferPack'
      when 7 then 'WithdrawPack'
      when 8 then 'Purchase'
      when 9 then 'ResolvePurchase'
      when 10 then 'Reserve'
      when 11 then 'RaiseReservation'
      when 12 then 'ExtendReservation'
      when 13 then 'Commit'
      when 14 then 'Release'
      when 15 then 'Charge'
      when 16 then 'Refund'
      when 17 then 'EraseAccountData'
      when 18 then 'VoidGrant'
      when 19 then 'UpdateGrant'
      when 20 then 'SuspendAccount'
      when 21 then 'ResumeAccount'
      when 22 then 'SetBudget'
      when 23 then 'RemoveBudget'
      when 24 then 'ImportAccount'
      when 28 then 'SetShadowMode'
    end as method,
    reference,
    personal -> 'labels' as labels,
    replace(trace_id::text, '-', '') as trace_id, encode(span_id, 'hex') as span_id,
    coalesce((content ->> 'l')::boolean, false) as late,
    case when kind = 6 then coalesce((content ->> 'f')::boolean, true) end as final,
    (content ->> 'a')::bigint as asked,
    to_timestamp((content ->> 'x')::bigint / 1000.0) as expires_at,
    case when kind = 5 then coalesce(content ->> 'p', 'REJECT') end as over_commit_policy,
    content -> 'd' as details,
    personal,
    content -> 'm' as moves, content -> 'u' as usages,
    erased_hash is not null as erased,
    coalesce((content ->> 'w')::bigint, 0) as owed_after
  from entries;

create or replace view history_moves as
  select
    e.account_id, e.seq, e.at, m.number,
    case left(m.move ->> 0, 1)
        when 'i' then 'issued' when 'a' then 'available' when 'r' then 'reserved'
        when 'o' then 'overage' when 'h' then 'overage_reserved' when 'w' then 'owed'
        when 'c' then 'consumed' when 'x' then 'expired' when 'v' then 'voided'
      end as from_bucket,
    case right(m.move ->> 0, 1)
        when 'i' then 'issued' when 'a' then 'available' when 'r' then 'reserved'
        when 'o' then 'overage' when 'h' then 'overage_reserved' when 'w' then 'owed'
        when 'c' then 'consumed' when 'x' then 'expired' when 'v' then 'voided'
      end as to_bucket,
    nullif((m.move ->> 1)::bigint, 0) as grant_id,
    (m.move ->> 2)::bigint as credits
  from entries e
  cross join json_array_elements(e.content -> 'm') with ordinality as m(move, number);

create or replace function erase_account_data(
  of_account text, of_seq bigint, after_seq bigint, at_most int
) returns bigint
  language sql
  security definer
  set search_path = pg_catalog, pg_temp
  begin atomic
    select from accounts where account_id = of_account for no key update;
    with erasure as (
      select a.account_id, (e.content -> 'd' ->> 'events')::bigint as event_seq
      from accounts a join entries e using (account_id)
      where a.account_id = of_account and a.state = 'CLOSED'
        and e.seq = of_seq and e.kind = 24
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
          and type in ('budget.exceeded', 'reservation.expired', 'purchase.completed', 'purchase.resolved')
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
        and kind <> 24 and salt is not null
      returning 1
    )
    select case
        when erased > 0 then after_seq
        when (select count(*) from erased_entries) >= 0 then least(after_seq + at_most, of_seq)
      end
    from erasure, rows_beside;
  end;
`;
