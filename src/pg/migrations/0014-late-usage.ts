import { Migration } from '@mikro-orm/migrations';

/** Late usage: what it adds to the month before the present one, what of allowances it can bring back, and when jobs were done. */
export class Migration0014LateUsage extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts
  add overage_before bigint,
  add constraint accounts_overage_before_check
    check (overage_before > 0 and overage_before <= overage_limit);
grant update (overage_before) on accounts to scrip_runtime;

alter table grants
  add expired bigint,
  add constraint grants_expired_check check (expired > 0 and expired <= amount);
grant update (expired) on grants to scrip_runtime;
create index grants_to_return on grants (account_id, expires_at) where expired is not null;

alter table reservations add used_at timestamptz(3);

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
    plan_id, rate_card_version, caller, reference, labels, entry_seq, held_by_operation, used_at
  from reservations;
`;
