import { Migration } from '@mikro-orm/migrations';

/** Statements, and when an account's next one is due. */
export class Migration0004Statements extends Migration {
  override up() {
    this.addSql(`alter table accounts add column statement_due_at timestamptz(3)`);
    this.addSql(`alter table accounts add column statement_plan_id text`);
    this.addSql(
      `create index accounts_statement_due on accounts (statement_due_at)
       where statement_due_at is not null`,
    );
    this.addSql(`
      create table statements (
        account_id text           not null,
        month      text           not null,
        plan_id    text           not null,
        closed_at  timestamptz(3) not null,
        after_seq  bigint         not null,
        last_seq   bigint         not null,
        overage    bigint         not null,
        currency   text,
        total      numeric,
        content    jsonb          not null,
        primary key (account_id, month),
        constraint statements_month_check check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
        constraint statements_seq_check check (after_seq >= 0 and after_seq <= last_seq),
        constraint statements_overage_check check (overage >= 0),
        constraint statements_total_check check ((total is null) = (currency is null))
      )`);
    this.addSql(`create index statements_by_plan on statements (plan_id, month, account_id)`);
    this.addSql(`grant select, insert on statements to scrip_runtime`);
  }
}
