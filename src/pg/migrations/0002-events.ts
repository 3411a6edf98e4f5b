import { Migration } from '@mikro-orm/migrations';

/** Events, and whether the newest balance event of an account was balance.low. */
export class Migration0002Events extends Migration {
  override up() {
    this.addSql(`alter table accounts add column low_balance boolean not null default false`);
    this.addSql(`alter table accounts alter column low_balance drop default`);
    this.addSql(`
      create table events (
        account_id text           not null,
        event_id   uuid           not null,
        type       text           not null,
        at         timestamptz(3) not null,
        data       jsonb          not null,
        trace_id   text           not null,
        span_id    text           not null,
        primary key (account_id, event_id)
      )`);
    this.addSql(`grant select, insert on events to scrip_runtime`);
  }
}
