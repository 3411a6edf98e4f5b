import { Migration } from '@mikro-orm/migrations';

/** Sums of what accounts used. They begin empty: replicas count the entries there are. */
export class Migration0004UsageRollups extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
-- What accounts used, by the hour: sums over their entries up to the seq of usage_positions. An
-- entry counts once without a label, and once more for each of its labels.
create table usage_rollups (
  account_id        text not null,
  label             text not null,           -- the label whose values the row is one of; empty: of all entries
  hour              timestamptz(3) not null, -- its first moment, UTC
  operation         text not null,           -- empty: credits without a usage
  caller            text not null,           -- who charged
  plan_id           text not null,           -- whose prices applied
  rate_card_version int not null,            -- of that plan; 0: none
  beyond            boolean not null,        -- of all values, or without a label of all labels, beyond the limit
  label_value       text not null,           -- as entries state it
  count             numeric not null,        -- how many times
  credits           numeric not null,        -- charged in this hour, overage included
  refunded          numeric not null,        -- given back in this hour, of charges of any time
  primary key (account_id, label, hour, operation, caller, plan_id, rate_card_version, beyond, label_value),
  constraint usage_rollups_hour_check check (extract(epoch from hour) % 3600 = 0),
  constraint usage_rollups_label_check check (
    (label <> '' or label_value = '')
    and (not beyond or label_value = '')
  ),
  constraint usage_rollups_sums_check check (count >= 0 and credits >= 0 and refunded >= 0)
);
create index usage_rollups_by_hour on usage_rollups (label, hour, plan_id);
grant select, insert, update (count, credits, refunded), delete on usage_rollups to scrip_runtime;

-- The measured quantities of usage_rollups, such as pages. Refunds lower nothing here.
create table usage_quantities (
  account_id        text not null,
  label             text not null,           -- the label whose values the row is one of; empty: of all entries
  hour              timestamptz(3) not null, -- its first moment, UTC
  operation         text not null,           -- empty: credits without a usage
  caller            text not null,           -- who charged
  plan_id           text not null,           -- whose prices applied
  rate_card_version int not null,            -- of that plan; 0: none
  beyond            boolean not null,        -- of all values, or without a label of all labels, beyond the limit
  label_value       text not null,           -- as entries state it
  quantity          text not null,           -- such as "pages"
  total             numeric not null,        -- of one usage, times its count
  primary key (account_id, label, hour, operation, caller, plan_id, rate_card_version, beyond, label_value, quantity),
  constraint usage_quantities_hour_check check (extract(epoch from hour) % 3600 = 0),
  constraint usage_quantities_label_check check (
    (label <> '' or label_value = '')
    and (not beyond or label_value = '')
  ),
  constraint usage_quantities_total_check check (total >= 0)
);
create index usage_quantities_by_hour on usage_quantities (label, hour, plan_id);
grant select, insert, update (total), delete on usage_quantities to scrip_runtime;

-- How far the entries of each account are in usage_rollups. Who counts more locks the row.
create table usage_positions (
  account_id text not null,
  seq        bigint not null, -- the rollups are exact up to this entry
  labels     jsonb,           -- of the month of the newest usage, the values that have rows of their own; null: none
  primary key (account_id),
  constraint usage_positions_seq_check check (seq >= 0)
) with (fillfactor = 70);
alter table usage_positions alter column labels set statistics 0;
grant select, insert, update (seq, labels) on usage_positions to scrip_runtime;
`;
