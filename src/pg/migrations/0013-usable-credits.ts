import { Migration } from '@mikro-orm/migrations';

/**
 * Stranded grants, and several low-balance levels, in credits or percent, in place of one threshold. The next
 * change of a balance computes which levels are low.
 */
export class Migration0013UsableCredits extends Migration {
  override up() {
    this.addSql(`alter table grants add column stranded boolean not null default false`);
    this.addSql(`alter table grants alter column stranded drop default`);
    this.addSql(
      `create index grants_limited on grants (account_id) where open and operations is not null`,
    );
    this.addSql(`
      alter table accounts
        add column low_balance_levels jsonb,
        add column low_levels jsonb`);
    this.addSql(`
      update accounts set low_balance_levels = case low_balance_threshold
        when 0 then '[]'::jsonb else jsonb_build_array(low_balance_threshold::text) end
      where low_balance_threshold is not null`);
    this.addSql(`
      alter table accounts
        drop column low_balance_threshold,
        drop column low_balance`);
  }
}
