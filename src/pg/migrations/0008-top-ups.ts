import { Migration } from '@mikro-orm/migrations';

/** Auto top-up: its settings, its past and current top-ups, and when the next one is due. */
export class Migration0008TopUps extends Migration {
  override up() {
    this.addSql(`
      alter table accounts
        add column auto_top_up jsonb,
        add column top_ups jsonb,
        add column top_up_due_at timestamptz(3)`);
    this.addSql(
      `create index accounts_top_up_due on accounts (top_up_due_at) where top_up_due_at is not null`,
    );
  }
}
