import { Migration } from '@mikro-orm/migrations';

/**
 * The row version of an account, for optimistic concurrency. Replicas of earlier releases do not
 * increment it: stop them before this migration.
 */
export class Migration0010AccountVersion extends Migration {
  override up() {
    // The default fills the rows that exist without rewriting the table; new rows state their version.
    this.addSql(`alter table accounts add column version bigint not null default 1`);
    this.addSql(`
      alter table accounts
        alter column version drop default,
        add constraint accounts_version_check check (version > 0)`);
  }
}
