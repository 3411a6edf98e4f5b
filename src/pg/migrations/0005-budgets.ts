import { Migration } from '@mikro-orm/migrations';

/** Budgets below the account, and what was used of them. */
export class Migration0005Budgets extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts add budgets jsonb;
alter table accounts alter column budgets set statistics 0;
grant update (budgets) on accounts to scrip_runtime;

alter table reservations add held_by_operation json;
alter table reservations alter column held_by_operation set statistics 0;
grant update (held_by_operation) on reservations to scrip_runtime;

create table budget_counters (
  account_id text not null,
  since bigint not null,
  period_from timestamptz(3) not null,
  value text not null,
  used bigint not null,
  reported_cap bigint,
  primary key (account_id, since, period_from, value),
  constraint budget_counters_used_check check (used >= 0)
) with (fillfactor = 70);
grant select, insert, update (used, reported_cap) on budget_counters to scrip_runtime;

create or replace view running_reservations as
  select
    account_id, reservation_id,
    case state
      when 1 then 'ACTIVE'
      when 4 then 'EXPIRED'
    end as state,
    credits, committed, returned, allocations, expired_allocations, held_for,
    created_at, expires_at, late,
    case over_commit_policy
      when 1 then 'REJECT'
      when 2 then 'CAP'
      when 3 then 'DRAW'
    end as over_commit_policy,
    plan_id, rate_card_version, caller, reference, labels, entry_seq, held_by_operation
  from reservations;

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
    ), rows_beside as (
      select (select count(*) from erased_purchases) + (select count(*) from erased_reservations)
        + (select count(*) from erased_grants) + (select count(*) from erased_events)
        + (select count(*) from erased_deliveries) + (select count(*) from erased_counters) as erased
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
