import { Migration } from '@mikro-orm/migrations';

/** What late and repeated commits need to know of a reservation, and whether a commit was final. */
export class Migration0016ExplicitAmounts extends Migration {
  override up() {
    // The default fills the rows that exist without rewriting the table; new rows state their value.
    this.addSql(`
      alter table reservations
        add column expired_allocations jsonb not null default '[]',
        add column ended_asking text`);
    this.addSql(`alter table reservations alter column expired_allocations drop default`);
    this.addSql(`alter table entries add column final boolean`);
  }
}
