import { Migration } from '@mikro-orm/migrations';

/**
 * One payment buys one pack, in whatever form its reference is typed: unique is the key of the reference
 * (src/ledger/payment-reference.ts). Some older references are the same only now. The first of them gets the
 * key, the others get keys with a space, which no reference has.
 */
export class Migration0012PaymentReferenceKey extends Migration {
  override up() {
    this.addSql(`alter table purchases add column payment_reference_key text`);
    this.addSql(`
      update purchases p
      set payment_reference_key = case k.number when 1 then k.key else p.purchase_id || ' ' || k.key end
      from (
        select account_id, purchase_id, key,
          row_number() over (partition by account_id, key order by purchase_id) as number
        from (
          select account_id, purchase_id,
            lower(upper(regexp_replace(normalize(payment_reference, nfkc), '\\s', '', 'g'))) as key
          from purchases where payment_reference is not null
        ) keys
      ) k
      where k.account_id = p.account_id and k.purchase_id = p.purchase_id`);
    this.addSql(`
      alter table purchases
        drop constraint purchases_payment_reference,
        add constraint purchases_payment_reference unique (account_id, payment_reference_key),
        drop constraint purchases_method_check,
        add constraint purchases_method_check check (method in ('REFERENCE', 'CHECKOUT', 'TOP_UP') and (method = 'REFERENCE') = (payment_reference is not null) and (method = 'REFERENCE') = (payment_reference_key is not null) and (method = 'CHECKOUT') = (success_url is not null and cancel_url is not null) and (method = 'TOP_UP') = (customer is not null and payment_method is not null))`);
  }
}
