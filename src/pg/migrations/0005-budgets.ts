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
`;
