import { Migration } from '@mikro-orm/migrations';

/** Shadow mode: what is used of an account is decided and recorded, and moves nothing. */
export class Migration0011Shadow extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts add shadow jsonb;
alter table accounts alter column shadow set statistics 0;
grant update (shadow) on accounts to scrip_runtime;
create index accounts_in_shadow on accounts (account_id)
  where shadow is not null and shadow ->> 'until' is null;

create table shadow_use (
  account_id text not null,
  since timestamptz(3) not null,
  seq bigint not null,
  since_seq bigint not null,
  used json not null,
  primary key (account_id)
) with (fillfactor = 70);
grant select, insert, update (since, seq, since_seq, used) on shadow_use to scrip_runtime;

create table shadow_decisions (
  account_id text not null,
  seq bigint not null,
  at timestamptz(3) not null,
  credits bigint not null,
  available_after bigint not null,
  refunded_seq bigint,
  plan_version int not null,
  rate_card_version int,
  kind smallint not null,
  method smallint,
  reservation_id uuid,
  plan_id text not null,
  caller text not null,
  request_id bytea,
  trace_id uuid,
  content json not null,
  fingerprint bytea,
  response bytea,
  reference text,
  labels json,
  refusal json,
  primary key (account_id, seq),
  constraint shadow_decisions_seq_check check (seq > 1000000000000000)
);
alter table shadow_decisions
  alter column content set statistics 0,
  alter column fingerprint set statistics 0,
  alter column response set statistics 0,
  alter column labels set statistics 0,
  alter column refusal set statistics 0;
create unique index shadow_decisions_request on shadow_decisions (request_id, account_id, method)
  where method is not null;
create index shadow_decisions_by_reservation on shadow_decisions (reservation_id)
  where reservation_id is not null;
create index shadow_decisions_by_refunded on shadow_decisions (account_id, refunded_seq)
  where refunded_seq is not null;
grant select, insert on shadow_decisions to scrip_runtime;

create table shadow_reservations (
  account_id text not null,
  reservation_id uuid not null,
  state text not null,
  expires_at timestamptz(3) not null,
  job json not null,
  start json not null,
  primary key (account_id, reservation_id)
);
alter table shadow_reservations
  alter column job set statistics 0,
  alter column start set statistics 0;
create index shadow_reservations_active on shadow_reservations (account_id, expires_at)
  where state = 'ACTIVE';
grant select, insert, update (state, expires_at, job) on shadow_reservations to scrip_runtime;

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
    ), rows_beside as (
      select (select count(*) from erased_purchases) + (select count(*) from erased_reservations)
        + (select count(*) from erased_grants) + (select count(*) from erased_events)
        + (select count(*) from erased_deliveries) + (select count(*) from erased_counters)
        + (select count(*) from erased_decisions) + (select count(*) from erased_jobs)
        + (select count(*) from erased_use) as erased
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
