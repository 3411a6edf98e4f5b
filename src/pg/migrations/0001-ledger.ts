import { Migration } from '@mikro-orm/migrations';

/** The tables of the first release, and the role that the service works under. */
export class Migration0001Ledger extends Migration {
  override up() {
    this.addSql(`
      create table plans (
        plan_id           text        not null primary key,
        title             text        not null,
        terms             jsonb       not null,
        rate_card_version int         not null,
        updated_at        timestamptz(3) not null
      )`);
    this.addSql(`
      create table rate_cards (
        plan_id    text        not null,
        version    int         not null,
        content    jsonb       not null,
        created_at timestamptz(3) not null,
        primary key (plan_id, version),
        constraint rate_cards_version_check check (version > 0)
      )`);
    // A page has room for new versions of its rows, so that updates of every call touch no index (HOT).
    this.addSql(`
      create table accounts (
        account_id       text        not null primary key,
        plan_id          text        not null,
        state            text        not null,
        display_name     text        not null,
        labels           jsonb       not null,
        opened_at        timestamptz(3) not null,
        closed_at        timestamptz(3),
        seq              bigint      not null,
        grant_count      bigint      not null,
        remaining        bigint      not null,
        reserved         bigint      not null,
        overage          bigint      not null,
        overage_reserved bigint      not null,
        overage_limit    bigint      not null,
        allowance_due_at timestamptz(3),
        due_at           timestamptz(3),
        last_at          timestamptz(3) not null,
        last_hash        bytea       not null,
        constraint accounts_state_check check (state in ('OPEN', 'CLOSED')),
        constraint accounts_seq_check check (seq >= 0),
        constraint accounts_grant_count_check check (grant_count >= 0),
        constraint accounts_available_check check (reserved >= 0 and reserved <= remaining),
        constraint accounts_overage_check check (overage >= 0 and overage_reserved >= 0 and overage + overage_reserved <= overage_limit)
      ) with (fillfactor = 70)`);
    this.addSql(`create index accounts_due on accounts (due_at) where due_at is not null`);
    this.addSql(`create index accounts_by_plan on accounts (plan_id, account_id)`);
    this.addSql(`
      create table grants (
        account_id       text        not null,
        grant_id         bigint      not null,
        amount           bigint      not null,
        remaining        bigint      not null,
        reserved         bigint      not null,
        category         text        not null,
        priority         int         not null,
        effective_at     timestamptz(3) not null,
        expires_at       timestamptz(3),
        source           text        not null,
        source_reference text        not null,
        state            text        not null,
        open             boolean     not null,
        created_at       timestamptz(3) not null,
        primary key (account_id, grant_id),
        constraint grants_amount_check check (amount > 0),
        constraint grants_remaining_check check (remaining >= 0 and remaining <= amount),
        constraint grants_reserved_check check (reserved >= 0 and reserved <= remaining),
        constraint grants_priority_check check (priority >= 0 and priority <= 100),
        constraint grants_expiry_check check (expires_at > effective_at),
        constraint grants_category_check check (category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')),
        constraint grants_state_check check (state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED')),
        constraint grants_open_check check ((state = 'SCHEDULED' or remaining > 0) = open)
      ) with (fillfactor = 70)`);
    this.addSql(`create index grants_open on grants (account_id) where open`);
    this.addSql(`
      create table reservations (
        account_id         text        not null,
        reservation_id     uuid        not null,
        state              text        not null,
        credits            bigint      not null,
        held               bigint      not null,
        committed          bigint      not null,
        returned           bigint      not null,
        allocations        jsonb       not null,
        expires_at         timestamptz(3) not null,
        created_at         timestamptz(3) not null,
        ended_at           timestamptz(3),
        over_commit_policy text        not null,
        rate_card_version  int         not null,
        reference          text        not null,
        labels             jsonb       not null,
        late               boolean     not null,
        primary key (account_id, reservation_id),
        constraint reservations_state_check check (state in ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')),
        constraint reservations_credits_check check (credits >= 0 and held >= 0 and committed >= 0 and returned >= 0),
        constraint reservations_policy_check check (over_commit_policy in ('REJECT', 'CAP', 'DRAW')),
        constraint reservations_whole_check check (held + committed + returned = credits or over_commit_policy = 'DRAW'),
        constraint reservations_end_check check ((state = 'ACTIVE') = (ended_at is null) and (state = 'ACTIVE' or held = 0))
      )`);
    this.addSql(
      `create index reservations_active on reservations (account_id, expires_at) where state = 'ACTIVE'`,
    );
    this.addSql(`
      create table entries (
        account_id        text        not null,
        seq               bigint      not null,
        kind              text        not null,
        at                timestamptz(3) not null,
        moves             jsonb       not null,
        credits           bigint      not null,
        remaining_after   bigint      not null,
        reserved_after    bigint      not null,
        overage_after     bigint      not null,
        reservation_id    uuid,
        grant_id          bigint,
        refunded_seq      bigint,
        usages            jsonb       not null,
        rate_card_version int,
        late              boolean     not null,
        caller            text        not null,
        request_id        text        not null,
        reference         text        not null,
        labels            jsonb       not null,
        trace_id          text        not null,
        span_id           text        not null,
        hash              bytea       not null,
        primary key (account_id, seq),
        constraint entries_seq_check check (seq > 0),
        constraint entries_credits_check check (credits >= 0),
        constraint entries_after_check check (remaining_after >= 0 and reserved_after >= 0 and overage_after >= 0),
        constraint entries_kind_check check (kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND'))
      )`);
    this.addSql(`
      create table requests (
        account_id  text        not null,
        request_id  text        not null,
        method      text        not null,
        fingerprint bytea       not null,
        response    bytea       not null,
        at          timestamptz(3) not null,
        primary key (account_id, request_id, method)
      )`);
    this.addSql(`
      create table purchases (
        account_id        text           not null,
        purchase_id       uuid           not null,
        pack_id           text           not null,
        credits           bigint         not null,
        currency          text           not null,
        amount            numeric(20, 9) not null,
        state             text           not null,
        payment_reference text           not null,
        grant_id          bigint,
        created_at        timestamptz(3)    not null,
        paid_at           timestamptz(3),
        primary key (account_id, purchase_id),
        constraint purchases_payment_reference unique (account_id, payment_reference),
        constraint purchases_credits_check check (credits > 0),
        constraint purchases_amount_check check (amount >= 0),
        constraint purchases_state_check check (state in ('PENDING', 'PAID')),
        constraint purchases_paid_check check ((state = 'PAID') = (grant_id is not null) and (state = 'PAID') = (paid_at is not null))
      )`);
    this.addSql(`
      create table refunded (
        account_id text   not null,
        seq        bigint not null,
        committed  bigint not null,
        refunded   bigint not null,
        primary key (account_id, seq),
        constraint refunded_check check (refunded > 0 and refunded <= committed)
      )`);
    this.#runtimeRole();
  }

  /**
   * The role can insert entries and requests, and lacks the privilege to update or delete them. Roles
   * belong to the database cluster: this one may exist already, or be created by another database's
   * migration at the same moment.
   */
  #runtimeRole() {
    this.addSql(`
      do $$ begin
        create role scrip_runtime nologin;
      exception when duplicate_object or unique_violation then null;
      end $$`);
    this.addSql(`do $$ begin execute format('grant scrip_runtime to %I', current_user); end $$`);
    this.addSql(`grant usage on schema public to scrip_runtime`);
    this.addSql(`grant select on schema_migrations to scrip_runtime`);
    this.addSql(`grant select, insert on entries, requests, rate_cards to scrip_runtime`);
    this.addSql(
      `grant select, insert, update on plans, accounts, grants, reservations, purchases, refunded to scrip_runtime`,
    );
  }
}
