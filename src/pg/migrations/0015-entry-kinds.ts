import { Migration } from '@mikro-orm/migrations';

/** What concerns several of the migrations before it, once: the kinds and methods of entries, and the views that show them. */
export class Migration0015EntryKinds extends Migration {
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
    coalesce((content ->> 'w')::bigint, 0) as owed_after,
    to_timestamp((content ->> 't')::bigint / 1000.0) as used_at
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
`;
