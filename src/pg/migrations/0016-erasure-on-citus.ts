import { Migration } from '@mikro-orm/migrations';

/** Functions that erase in PL/pgSQL: Citus refuses statements of SQL functions that have parameters. */
export class Migration0016ErasureOnCitus extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
create or replace function erase_entry(of_account text, of_seq bigint) returns void
  language plpgsql
  as $$
begin
  update entries set
    erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
    salt = null, fingerprint = null, response = null, reference = null, personal = null
  where account_id = of_account and seq = of_seq and erased_hash is null;
end
$$;

create or replace function erase_account_data(
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
-- Again: servers of a Citus cluster have functions without their privileges, until they are said there.
revoke all on function erase_account_data(text, bigint, bigint, int) from public;
grant execute on function erase_account_data(text, bigint, bigint, int) to scrip_runtime;
`;
