import { Migration } from '@mikro-orm/migrations';

/** Sums of the movements of credits by month. They begin empty: replicas count the entries there are. */
export class Migration0012RollForward extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
-- What moved the unspent credits of accounts, by the month: sums over their entries up to the seq of
-- roll_forward_positions. Roll-forwards are sums of them.
create table roll_forward_sums (
  account_id text not null,
  month      text not null,    -- in UTC, e.g. "2026-11"
  plan_id    text not null,    -- the plan that the entries name
  category   text not null,    -- of the grants
  currency   text not null,    -- in which the grants were paid, ISO 4217; empty: without a price
  movement   text not null,
  credits    numeric not null, -- what is spent, expired, voided and clawed back is lost, the rest is gained
  amount     numeric not null, -- what was paid for them, in the smallest unit of the currency
  primary key (account_id, month, plan_id, category, currency, movement),
  constraint roll_forward_sums_month_check check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  constraint roll_forward_sums_category_check check (
    category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')
  ),
  constraint roll_forward_sums_movement_check check (
    movement in ('ISSUED', 'REFUNDED', 'SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK', 'MOVED', 'CORRECTED')
  ),
  constraint roll_forward_sums_credits_check check (credits >= 0 or movement = 'MOVED'),
  constraint roll_forward_sums_amount_check check (
    (amount >= 0 or movement = 'MOVED')
    and (amount = 0 or currency <> '')
    and (currency = '' or category = 'PAID')
  )
);
create index roll_forward_sums_by_month on roll_forward_sums (month, plan_id);
grant select, insert, update (credits, amount), delete on roll_forward_sums to scrip_runtime;

-- How far the entries of each account are in roll_forward_sums. Who counts more locks the row.
create table roll_forward_positions (
  account_id text not null,
  seq        bigint not null, -- the sums are exact up to this entry
  plan_id    text not null,   -- the account's plan after it
  remaining  jsonb not null,  -- unspent credits of its grants after it: {"grant": "credits"}
  primary key (account_id),
  constraint roll_forward_positions_seq_check check (seq >= 0)
) with (fillfactor = 70);
alter table roll_forward_positions alter column remaining set statistics 0;
grant select, insert, update (seq, plan_id, remaining) on roll_forward_positions to scrip_runtime;
grant select on roll_forward_positions to scrip_archiver;
`;
