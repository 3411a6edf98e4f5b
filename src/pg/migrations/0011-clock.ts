import { Migration } from '@mikro-orm/migrations';

/** What replicas and operators tell each other of the time. Times are the database's unless said. */
export class Migration0011Clock extends Migration {
  override up() {
    this.addSql(`
      create table clock_acceptances (
        acceptance_id bigint         not null primary key,
        database_at   timestamptz(3) not null,
        host_at       timestamptz(3) not null
      )`);
    this.addSql(`grant select, insert on clock_acceptances to scrip_runtime`);
    this.addSql(`
      create table clock_heartbeats (
        name          text           not null primary key,
        trusted_at    timestamptz(3) not null,
        database_at   timestamptz(3) not null,
        acceptance_id bigint         not null,
        writer        uuid           not null
      ) with (fillfactor = 70)`);
    this.addSql(`grant select, insert, update on clock_heartbeats to scrip_runtime`);
  }
}
