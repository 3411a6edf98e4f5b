import { Migration } from '@mikro-orm/migrations';

/** What accounts owe, entries that pay it, and reservations whose commits may come to owe. */
export class Migration0011Owed extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts
  add owed bigint,
  add constraint accounts_owed_check check (owed > 0);
grant update (owed) on accounts to scrip_runtime;

alter table purchases
  add credits_owed bigint,
  add constraint purchases_owed_check check (
    credits_owed > 0 and credits_owed <= credits
  );
grant update (credits_owed) on purchases to scrip_runtime;

alter table reservations
  drop constraint reservations_policy_check,
  add constraint reservations_policy_check check (over_commit_policy in (1, 2, 3, 4)),
  drop constraint reservations_whole_check,
  add constraint reservations_whole_check check (
    committed + returned <= credits or over_commit_policy in (3, 4)
  );

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
      when 4 then 'TAKE'
    end as over_commit_policy,
    plan_id, rate_card_version, caller, reference, labels, entry_seq, held_by_operation
  from reservations;
`;
