import { Migration } from '@mikro-orm/migrations';

/**
 * Grants limited to operations, notices of expiry, and reservations that are raised. Notice of an existing
 * grant is due 7 days before it expires, the default of plans.
 */
export class Migration0003Grants extends Migration {
  override up() {
    this.addSql(`
      alter table grants
        add column operations jsonb,
        add column notice_at timestamptz(3),
        add constraint grants_operations_check check (jsonb_array_length(operations) > 0)`);
    this.addSql(`
      update grants
      set notice_at = greatest(expires_at - interval '7 days', effective_at)
      where open and category <> 'ALLOWANCE' and expires_at is not null`);
    this.addSql(`
      update accounts set due_at = least(due_at, soonest)
      from (
        select account_id, min(notice_at) as soonest from grants
        where open and notice_at is not null group by account_id
      ) announced
      where accounts.account_id = announced.account_id`);
    this.addSql(`alter table reservations add column held_for jsonb`);
    this.addSql(`
      alter table entries
        drop constraint entries_kind_check,
        add constraint entries_kind_check check (kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE'))`);
  }
}
