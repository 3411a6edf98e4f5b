import { Migration } from '@mikro-orm/migrations';

/** Purchases through a payment provider, and packs offered to one account. */
export class Migration0005Purchases extends Migration {
  override up() {
    this.addSql(`
      alter table purchases
        alter column payment_reference drop not null,
        add column title               text           not null default '',
        add column validity            text,
        add column method              text           not null default 'REFERENCE',
        add column caller              text           not null default '',
        add column request_id          text           not null default '',
        add column labels              jsonb          not null default '{}',
        add column success_url         text,
        add column cancel_url          text,
        add column customer_email      text,
        add column customer            text,
        add column payment_method      text,
        add column session_id          text,
        add column checkout_url        text,
        add column session_expires_at  timestamptz(3),
        add column payment_intent_id   text,
        add column failure_code        text           not null default '',
        add column amount_refunded     numeric(20, 9) not null default 0,
        add column dispute_state       text           not null default 'NONE',
        add column credits_clawed_back bigint         not null default 0,
        add column credits_unrecovered bigint         not null default 0,
        add column looks               int            not null default 0,
        add column next_check_at       timestamptz(3)`);
    // Every existing purchase was paid elsewhere and granted by one entry, which names the caller.
    this.addSql(`
      update purchases p set caller = e.caller, request_id = e.request_id, labels = e.labels
      from entries e
      where e.account_id = p.account_id and e.grant_id = p.grant_id and e.kind = 'PURCHASE'`);
    this.addSql(`update purchases set title = pack_id`);
    this.addSql(`
      alter table purchases
        alter column title drop default,
        alter column method drop default,
        alter column caller drop default,
        alter column request_id drop default,
        alter column labels drop default,
        alter column failure_code drop default,
        alter column amount_refunded drop default,
        alter column dispute_state drop default,
        alter column credits_clawed_back drop default,
        alter column credits_unrecovered drop default,
        alter column looks drop default,
        drop constraint purchases_state_check,
        add constraint purchases_state_check check (state in ('PENDING', 'PAID', 'FAILED', 'EXPIRED')),
        add constraint purchases_method_check check (method in ('REFERENCE', 'CHECKOUT', 'TOP_UP') and (method = 'REFERENCE') = (payment_reference is not null) and (method = 'CHECKOUT') = (success_url is not null and cancel_url is not null) and (method = 'TOP_UP') = (customer is not null and payment_method is not null)),
        add constraint purchases_session_check check ((session_id is null) = (checkout_url is null) and (session_id is null) = (session_expires_at is null)),
        add constraint purchases_asked_back_check check (amount_refunded >= 0 and credits_clawed_back >= 0 and credits_unrecovered >= 0 and credits_clawed_back + credits_unrecovered <= credits),
        add constraint purchases_dispute_check check (dispute_state in ('NONE', 'OPEN', 'WON', 'LOST')),
        add constraint purchases_next_check_check check ((state = 'PENDING') = (next_check_at is not null)),
        add constraint purchases_session unique (account_id, session_id),
        add constraint purchases_payment_intent unique (account_id, payment_intent_id)`);
    this.addSql(
      `create index purchases_to_check on purchases (next_check_at) where next_check_at is not null`,
    );
    this.addSql(`
      create table custom_packs (
        account_id   text           not null,
        pack_id      text           not null,
        title        text           not null,
        credits      bigint         not null,
        currency     text           not null,
        amount       numeric(20, 9) not null,
        validity     text,
        offered_at   timestamptz(3) not null,
        offered_by   text           not null,
        withdrawn_at timestamptz(3),
        primary key (account_id, pack_id),
        constraint custom_packs_credits_check check (credits > 0),
        constraint custom_packs_amount_check check (amount > 0)
      )`);
    this.addSql(`grant select, insert, update on custom_packs to scrip_runtime`);
    this.addSql(`
      alter table entries
        drop constraint entries_kind_check,
        add constraint entries_kind_check check (kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE', 'CLAW_BACK', 'REINSTATE'))`);
  }
}
