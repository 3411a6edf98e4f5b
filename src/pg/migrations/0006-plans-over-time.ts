import { Migration } from '@mikro-orm/migrations';

/**
 * Prices that change at a date, and accounts that move to another plan. A rate card version has the instant
 * at which it comes into force, and each row that names a version also names its plan.
 */
export class Migration0006PlansOverTime extends Migration {
  override up() {
    this.addSql(`alter table rate_cards add column effective_at timestamptz(3)`);
    this.addSql(`update rate_cards set effective_at = created_at`);
    this.addSql(`alter table rate_cards alter column effective_at set not null`);

    // The newest version need not be in force: rate_cards says which one is.
    this.addSql(`alter table plans drop column rate_card_version`);
    this.addSql(`
      alter table plans
        add column revision int not null default 1,
        add column withdrawn jsonb not null default '[]'`);
    this.addSql(`
      alter table plans alter column revision drop default, alter column withdrawn drop default`);

    // Before this migration no account could leave its plan.
    this.addSql(`alter table reservations add column plan_id text`);
    this.addSql(`
      update reservations r set plan_id = a.plan_id
      from accounts a where a.account_id = r.account_id`);
    this.addSql(`alter table reservations alter column plan_id set not null`);

    // Entries are never updated: existing ones name no plan, and keep their hashes.
    this.addSql(`
      alter table entries
        add column plan_id text,
        add column previous_plan_id text,
        add constraint entries_plan_change_check check ((kind = 'PLAN_CHANGE') = (previous_plan_id is not null) and (kind <> 'PLAN_CHANGE' or plan_id is not null))`);
    this.addSql(`alter table entries drop constraint entries_kind_check`);
    this.addSql(`
      alter table entries add constraint entries_kind_check check (kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE', 'CLAW_BACK', 'REINSTATE', 'PLAN_CHANGE'))`);
  }
}
