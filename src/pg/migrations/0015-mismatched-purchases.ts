import { Migration } from '@mikro-orm/migrations';

/** What was paid for a purchase at the provider, and the decision about a payment that differs from it. */
export class Migration0015MismatchedPurchases extends Migration {
  override up() {
    this.addSql(`
      alter table purchases
        add column currency_paid   text,
        add column amount_paid     numeric(20, 9),
        add column decision        text,
        add column decided_by      text,
        add column decision_reason text,
        add column decided_at      timestamptz(3)`);
    // Until now a payment was not compared with the order: the price is the best that is known of it.
    this.addSql(`
      update purchases set currency_paid = currency, amount_paid = amount
      where state = 'PAID' and method <> 'REFERENCE'`);
    this.addSql(`
      alter table purchases
        drop constraint purchases_state_check,
        add constraint purchases_state_check check (state in ('PENDING', 'PAID', 'FAILED', 'EXPIRED', 'MISMATCHED', 'REJECTED')),
        add constraint purchases_amount_paid_check check ((amount_paid is null) = (currency_paid is null) and amount_paid >= 0 and (amount_paid is not null or state <> 'MISMATCHED')),
        add constraint purchases_decision_check check (decision in ('ACCEPTED', 'REJECTED') and (decision is null) = (decided_by is null) and (decision is null) = (decision_reason is null) and (decision is null) = (decided_at is null) and (state = 'REJECTED') = (coalesce(decision, '') = 'REJECTED') and (state = 'PAID' or coalesce(decision, '') <> 'ACCEPTED') and (state <> 'PAID' or amount_paid is null or decision is not null or (amount_paid = amount and currency_paid = currency)))`);
    this.addSql(`
      create index purchases_mismatched on purchases (account_id, purchase_id)
      where state = 'MISMATCHED'`);
  }
}
