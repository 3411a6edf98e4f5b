-- The schema of the database, as the migrations in src/pg/migrations make it. `npm run schema` writes
-- this page from the table definitions in src/store/tables. A test creates a database from it and
-- compares that with a migrated one.
--
-- account_id is in every primary and unique key of the account tables, no column is filled by a default,
-- sequence or trigger, and there are no foreign keys: every write holds the lock of its account's row.
-- So the tables can be distributed by account_id as they are. The CHECKs repeat the ledger's invariants.
--
-- The service works under the role scrip_runtime. It lacks the privilege to change or remove an entry.
-- Instants have a time zone, and are exact to the millisecond.

-- Plans as they were published last. Their prices are in rate_cards.
create table plans (
  plan_id    text not null,
  title      text not null,
  terms      jsonb not null,          -- terms and packs; see src/pricing/plan-file/plan-json.ts
  updated_at timestamptz(3) not null,
  revision   int not null,            -- incremented by every publication that changes something
  withdrawn  jsonb not null,          -- versions replaced before they took effect
  primary key (plan_id)
);
grant select, insert, update on plans to scrip_runtime;

-- Plans' prices for operations: every version that there ever was, immutable.
create table rate_cards (
  plan_id      text not null,
  version      int not null,            -- 1, 2, 3 … within the plan
  content      jsonb not null,          -- prices; see src/pricing/plan-file/plan-json.ts
  created_at   timestamptz(3) not null,
  effective_at timestamptz(3) not null, -- the version is in force from then until the next
  primary key (plan_id, version),
  constraint rate_cards_version_check check (version > 0)
);
grant select, insert on rate_cards to scrip_runtime;

-- Owners of balances. A unit of work locks the row of each account that it changes.
create table accounts (
  account_id         text not null,           -- given by the caller
  opened_at          timestamptz(3) not null,
  closed_at          timestamptz(3),          -- null while the account is open
  state              text not null,
  plan_id            text not null,           -- the plan that the account lives under
  display_name       text not null,
  labels             jsonb not null,          -- {"name": "value"}
  low_balance_levels jsonb,                   -- e.g. ["500", "10%"]; null: the plan's
  pause_floor        bigint,                  -- null: the plan's is in force
  low_levels         jsonb,                   -- the newest event of each says "low"; null: no change since it was opened
  auto_top_up        jsonb,                   -- what the owner switched on; null: off
  top_ups            jsonb,                   -- past and current top-ups; null before the first
  top_up_due_at      timestamptz(3),          -- a top-up is to be started or checked; null: none
  statement_due_at   timestamptz(3),          -- end of the next month to close; null: none
  statement_plan_id  text,                    -- the postpaid plan that prices that month
  seq                bigint not null,         -- of the newest entry; 0 before the first
  grant_count        bigint not null,         -- number of the newest grant
  event_count        bigint not null,         -- seq of the newest event
  remaining          bigint not null,         -- sum over the account's grants
  reserved           bigint not null,         -- sum over the account's grants
  overage            bigint not null,         -- used in the calendar month of last_at and covered by no grant
  overage_reserved   bigint not null,         -- of reservations that no grant covers
  overage_limit      bigint not null,
  allowance_due_at   timestamptz(3),          -- end of the period granted last; null: none lasts
  due_at             timestamptz(3),          -- nothing happens to the account by itself before; may be too early
  last_at            timestamptz(3) not null, -- time of the newest entry or closed month; never decreases
  last_hash          bytea not null,          -- hash of the newest entry
  version            bigint not null,         -- row version: every update increments it
  primary key (account_id),
  constraint accounts_state_check check (state in ('OPEN', 'CLOSED')),
  constraint accounts_seq_check check (seq >= 0),
  constraint accounts_grant_count_check check (grant_count >= 0),
  constraint accounts_event_count_check check (event_count >= 0),
  constraint accounts_pause_floor_check check (pause_floor >= 0),
  constraint accounts_available_check check (reserved >= 0 and reserved <= remaining),
  constraint accounts_overage_check check (
    overage >= 0
    and overage_reserved >= 0
    and overage + overage_reserved <= overage_limit
  ),
  constraint accounts_version_check check (version > 0)
) with (fillfactor = 70);
create index accounts_due on accounts (due_at) where due_at is not null;
create index accounts_statement_due on accounts (statement_due_at) where statement_due_at is not null;
create index accounts_top_up_due on accounts (top_up_due_at) where top_up_due_at is not null;
create index accounts_auto_top_up on accounts (plan_id, account_id) where auto_top_up is not null;
create index accounts_by_plan on accounts (plan_id, account_id);
grant select, insert, update on accounts to scrip_runtime;

-- Allocations of credits to accounts.
create table grants (
  account_id       text not null,
  grant_id         bigint not null,         -- 1, 2, 3 … within the account
  amount           bigint not null,
  remaining        bigint not null,         -- not spent yet
  reserved         bigint not null,         -- of remaining: set aside by active reservations
  category         text not null,
  priority         int not null,            -- lower burns first
  effective_at     timestamptz(3) not null,
  expires_at       timestamptz(3),          -- null: never
  source           text not null,           -- WELCOME, ALLOWANCE, PURCHASE, OPERATOR or REFUND
  source_reference text not null,
  operations       jsonb,                   -- that it pays for, ordered; null: all
  notice_at        timestamptz(3),          -- notice of its expiry is due; null: never, or given
  stranded         boolean not null,        -- limited to operations that the plan has no price for
  state            text not null,           -- as of its last change
  open             boolean not null,        -- it can still change; a unit of work loads these
  created_at       timestamptz(3) not null,
  primary key (account_id, grant_id),
  constraint grants_amount_check check (amount > 0),
  constraint grants_remaining_check check (remaining >= 0 and remaining <= amount),
  constraint grants_reserved_check check (reserved >= 0 and reserved <= remaining),
  constraint grants_priority_check check (priority >= 0 and priority <= 100),
  constraint grants_expiry_check check (expires_at > effective_at),
  constraint grants_category_check check (
    category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')
  ),
  constraint grants_state_check check (state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED')),
  constraint grants_operations_check check (jsonb_array_length(operations) > 0),
  constraint grants_open_check check ((state = 'SCHEDULED' or remaining > 0) = open)
) with (fillfactor = 70);
create index grants_open on grants (account_id) where open;
create index grants_limited on grants (account_id) where open and operations is not null;
grant select, insert, update on grants to scrip_runtime;

-- Credits set aside from named grants for running jobs.
create table reservations (
  account_id          text not null,
  reservation_id      uuid not null,           -- ordered by time
  state               text not null,           -- ACTIVE until the account is settled, even past expires_at
  credits             bigint not null,         -- reserved, at first and by raising it since
  held                bigint not null,         -- sum of the allocations
  committed           bigint not null,
  returned            bigint not null,         -- given back to the grants
  allocations         jsonb not null,          -- [[grant, credits], …] still held, in burn order; grant 0 is overage
  expired_allocations jsonb not null,          -- [[grant, credits], …] given back by its expiry and not committed late; else []
  held_for            jsonb,                   -- [[operation, credits], …] where limited grants are held; else null
  expires_at          timestamptz(3) not null,
  created_at          timestamptz(3) not null,
  ended_at            timestamptz(3),
  ended_asking        text,                    -- what the commit that ended it asked for: credits, or a hash of its usages
  over_commit_policy  text not null,           -- of a commit of more than was reserved
  plan_id             text not null,           -- the plan whose rate card prices every commit
  rate_card_version   int not null,
  reference           text not null,           -- the caller's name for the job
  labels              jsonb not null,          -- {"name": "value"}
  late                boolean not null,        -- committed after it had expired, within the grace period
  primary key (account_id, reservation_id),
  constraint reservations_state_check check (
    state in ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')
  ),
  constraint reservations_credits_check check (
    credits >= 0
    and held >= 0
    and committed >= 0
    and returned >= 0
  ),
  constraint reservations_policy_check check (over_commit_policy in ('REJECT', 'CAP', 'DRAW')),
  constraint reservations_whole_check check (
    held + committed + returned = credits or over_commit_policy = 'DRAW'
  ),
  constraint reservations_end_check check (
    (state = 'ACTIVE') = (ended_at is null)
    and (state = 'ACTIVE' or held = 0)
  )
);
create index reservations_active on reservations (account_id, expires_at) where state = 'ACTIVE';
grant select, insert, update on reservations to scrip_runtime;

-- The history of accounts: immutable rows in a hash chain; credits move from bucket to bucket.
create table entries (
  account_id        text not null,
  seq               bigint not null,         -- 1, 2, 3 … within the account, without gaps
  kind              text not null,
  at                timestamptz(3) not null, -- never before the entry before it
  moves             jsonb not null,          -- [[from, to, grant, credits], …]; grant 0: none
  credits           bigint not null,         -- what it is about: granted, reserved, committed, …
  remaining_after   bigint not null,         -- of the account, as are the next two
  reserved_after    bigint not null,
  overage_after     bigint not null,
  reservation_id    uuid,
  grant_id          bigint,
  refunded_seq      bigint,                  -- of a REFUND: the commit or charge that it gives back
  usages            jsonb not null,          -- as they were priced
  plan_id           text,                    -- whose rate card priced it; of a PLAN_CHANGE: the new plan
  previous_plan_id  text,                    -- of a PLAN_CHANGE
  rate_card_version int,
  late              boolean not null,        -- a commit after expiry, within the grace period
  final             boolean,                 -- of a COMMIT: it ended the reservation
  caller            text not null,           -- "scrip" for what the service does by itself
  request_id        text not null,           -- empty for what the service does by itself
  reference         text not null,           -- the caller's name for the job
  labels            jsonb not null,          -- {"name": "value"}
  trace_id          text not null,           -- W3C trace id, hexadecimal
  span_id           text not null,
  hash              bytea not null,          -- SHA-256 over the row and the hash of the entry before it
  primary key (account_id, seq),
  constraint entries_seq_check check (seq > 0),
  constraint entries_credits_check check (credits >= 0),
  constraint entries_after_check check (
    remaining_after >= 0
    and reserved_after >= 0
    and overage_after >= 0
  ),
  constraint entries_kind_check check (
    kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT',
    'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE', 'CLAW_BACK', 'REINSTATE', 'PLAN_CHANGE')
  ),
  constraint entries_plan_change_check check (
    (kind = 'PLAN_CHANGE') = (previous_plan_id is not null)
    and (kind <> 'PLAN_CHANGE' or plan_id is not null)
  )
);
grant select, insert on entries to scrip_runtime;

-- Answered requests by their request id, so that every mutation is safe to repeat.
create table requests (
  account_id  text not null,
  request_id  text not null,           -- the caller's idempotency key
  method      text not null,           -- e.g. "Reserve"
  fingerprint bytea not null,          -- SHA-256 of the request's content
  response    bytea not null,          -- the first response, protobuf-encoded: a replay gets it again
  at          timestamptz(3) not null,
  primary key (account_id, request_id, method)
);
grant select, insert on requests to scrip_runtime;

-- How much of a commit or charge has been refunded. A row exists from its first refund on.
create table refunded (
  account_id text not null,
  seq        bigint not null, -- of the entry of the commit or charge
  committed  bigint not null, -- credits of that entry
  refunded   bigint not null, -- credits given back so far
  primary key (account_id, seq),
  constraint refunded_check check (refunded > 0 and refunded <= committed)
);
grant select, insert, update on refunded to scrip_runtime;

-- Packs bought. A purchase is pending until it is paid; then it makes one grant.
create table purchases (
  account_id            text not null,
  purchase_id           uuid not null,           -- ordered by time
  pack_id               text not null,
  title                 text not null,
  quantity              int not null,            -- packs bought
  credits               bigint not null,
  currency              text not null,           -- ISO 4217
  amount                numeric(20, 9) not null, -- the price of all packs
  validity              text,                    -- how long its credits last, e.g. "12 months"; null: for ever
  method                text not null,           -- how it is paid
  state                 text not null,
  payment_reference     text,                    -- of a REFERENCE: number of a payment elsewhere
  payment_reference_key text,                    -- what references of one payment have in common
  caller                text not null,           -- who bought it; "scrip" for a top-up
  request_id            text not null,           -- empty for a top-up
  labels                jsonb not null,          -- {"name": "value"}
  success_url           text,                    -- of a CHECKOUT
  cancel_url            text,                    -- of a CHECKOUT
  customer_email        text,                    -- of a CHECKOUT; null: the provider asks
  customer              text,                    -- of a TOP_UP, as the provider names it
  payment_method        text,                    -- of a TOP_UP, as the provider names it
  session_id            text,                    -- of the provider's checkout session
  checkout_url          text,
  session_expires_at    timestamptz(3),
  payment_intent_id     text,                    -- of the provider's payment
  failure_code          text not null,           -- why it is FAILED, in the provider's words; else empty
  grant_id              bigint,                  -- of a PAID one
  created_at            timestamptz(3) not null,
  paid_at               timestamptz(3),
  currency_paid         text,                    -- ISO 4217
  amount_paid           numeric(20, 9),          -- at the provider
  amount_refunded       numeric(20, 9) not null,
  dispute_state         text not null,
  decision              text,                    -- on a payment that differs from the price
  decided_by            text,                    -- the caller
  decision_reason       text,                    -- for people
  decided_at            timestamptz(3),
  credits_clawed_back   bigint not null,         -- taken back after a refund or dispute
  credits_unrecovered   bigint not null,         -- to be taken back, and spent before
  looks                 int not null,            -- how often it was synchronised with the provider
  next_check_at         timestamptz(3),          -- when to ask the provider; null: not pending
  primary key (account_id, purchase_id),
  constraint purchases_payment_reference unique (account_id, payment_reference_key),
  constraint purchases_session unique (account_id, session_id),
  constraint purchases_payment_intent unique (account_id, payment_intent_id),
  constraint purchases_quantity_check check (quantity > 0),
  constraint purchases_credits_check check (credits > 0),
  constraint purchases_amount_check check (amount >= 0),
  constraint purchases_state_check check (
    state in ('PENDING', 'PAID', 'FAILED', 'EXPIRED', 'MISMATCHED', 'REJECTED')
  ),
  constraint purchases_paid_check check (
    (state = 'PAID') = (grant_id is not null)
    and (state = 'PAID') = (paid_at is not null)
  ),
  constraint purchases_method_check check (
    method in ('REFERENCE', 'CHECKOUT', 'TOP_UP')
    and (method = 'REFERENCE') = (payment_reference is not null)
    and (method = 'REFERENCE') = (payment_reference_key is not null)
    and (method = 'CHECKOUT') = (success_url is not null and cancel_url is not null)
    and (method = 'TOP_UP') = (customer is not null and payment_method is not null)
  ),
  constraint purchases_session_check check (
    (session_id is null) = (checkout_url is null)
    and (session_id is null) = (session_expires_at is null)
  ),
  constraint purchases_asked_back_check check (
    amount_refunded >= 0
    and credits_clawed_back >= 0
    and credits_unrecovered >= 0
    and credits_clawed_back + credits_unrecovered <= credits
  ),
  constraint purchases_amount_paid_check check (
    (amount_paid is null) = (currency_paid is null)
    and amount_paid >= 0
    and (amount_paid is not null or state <> 'MISMATCHED')
  ),
  constraint purchases_decision_check check (
    decision in ('ACCEPTED', 'REJECTED')
    and (decision is null) = (decided_by is null)
    and (decision is null) = (decision_reason is null)
    and (decision is null) = (decided_at is null)
    and (state = 'REJECTED') = (coalesce(decision, '') = 'REJECTED')
    and (state = 'PAID' or coalesce(decision, '') <> 'ACCEPTED')
    and (state <> 'PAID' or amount_paid is null or decision is not null or (amount_paid = amount and
    currency_paid = currency))
  ),
  constraint purchases_dispute_check check (dispute_state in ('NONE', 'OPEN', 'WON', 'LOST')),
  constraint purchases_next_check_check check ((state = 'PENDING') = (next_check_at is not null))
);
create index purchases_to_check on purchases (next_check_at) where next_check_at is not null;
create index purchases_mismatched on purchases (account_id, purchase_id) where state = 'MISMATCHED';
grant select, insert, update on purchases to scrip_runtime;

-- Packs offered to one account. A withdrawn pack stays, until it is offered again.
create table custom_packs (
  account_id   text not null,
  pack_id      text not null,
  title        text not null,
  credits      bigint not null,
  currency     text not null,           -- ISO 4217
  amount       numeric(20, 9) not null, -- the price
  validity     text,                    -- how long its credits last, e.g. "12 months"; null: for ever
  offered_at   timestamptz(3) not null,
  offered_by   text not null,           -- the caller
  withdrawn_at timestamptz(3),          -- null: it is on offer
  primary key (account_id, pack_id),
  constraint custom_packs_credits_check check (credits > 0),
  constraint custom_packs_amount_check check (amount > 0)
);
grant select, insert, update on custom_packs to scrip_runtime;

-- Closed bills, one per account and calendar month of overage, immutable.
create table statements (
  account_id text not null,
  month      text not null,           -- e.g. "2026-11"
  plan_id    text not null,           -- the plan that prices it
  closed_at  timestamptz(3) not null,
  after_seq  bigint not null,         -- it counts the entries with after_seq < seq <= last_seq
  last_seq   bigint not null,
  overage    bigint not null,         -- credits
  currency   text,                    -- null where overage is not billed
  total      numeric,                 -- amount to pay; below 0 where earlier months are adjusted
  content    jsonb not null,          -- usage, rates, lines and adjustments
  primary key (account_id, month),
  constraint statements_month_check check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  constraint statements_seq_check check (after_seq >= 0 and after_seq <= last_seq),
  constraint statements_overage_check check (overage >= 0),
  constraint statements_total_check check ((total is null) = (currency is null))
);
create index statements_by_plan on statements (plan_id, month, account_id);
grant select, insert on statements to scrip_runtime;

-- What subscribers are told, written by the transaction that caused it (outbox).
create table events (
  account_id text not null,
  event_id   uuid not null,
  seq        bigint not null,         -- 1, 2, 3 … within the account
  position   bigint,                  -- 1, 2, 3 … over all accounts; given after the commit
  type       text not null,           -- e.g. "balance.low"
  at         timestamptz(3) not null,
  data       jsonb not null,          -- {"name": "value"}
  trace_id   text not null,           -- W3C trace id, hexadecimal, of what caused it
  span_id    text not null,
  primary key (account_id, event_id),
  constraint events_seq_check check (seq > 0),
  constraint events_position_check check (position > 0)
);
create index events_waiting on events (account_id, seq) where position is null;
create index events_by_position on events (position);
create index events_of_account on events (account_id, position);
grant select, insert, update (position) on events to scrip_runtime;

-- How far the outbox has got: the last position given ("assigned"), and the last that has a
-- delivery ("enqueued").
create table event_cursors (
  name     text not null,
  position bigint,        -- null: no webhook endpoint was ever configured
  primary key (name)
);
grant select, update on event_cursors to scrip_runtime;

-- Events on their way to the webhook endpoint. Replicas share them by leases on due_at.
create table deliveries (
  account_id      text not null,
  event_id        uuid not null,
  position        bigint not null, -- of the event
  state           text not null,
  attempts        int not null,    -- so far; the current one is counted
  due_at          timestamptz(3),  -- of the next attempt, or end of the lease of this one
  last_attempt_at timestamptz(3),
  last_error      text not null,   -- empty after a success
  ended_at        timestamptz(3),
  primary key (account_id, event_id),
  constraint deliveries_state_check check (state in ('PENDING', 'DELIVERED', 'DEAD')),
  constraint deliveries_attempts_check check (attempts >= 0),
  constraint deliveries_due_check check ((state = 'PENDING') = (due_at is not null)),
  constraint deliveries_end_check check ((state = 'PENDING') = (ended_at is null))
) with (fillfactor = 70);
create index deliveries_due on deliveries (due_at) where due_at is not null;
create index deliveries_by_position on deliveries (position);
create index deliveries_by_state on deliveries (state, position);
grant select, insert, update on deliveries to scrip_runtime;

-- The time that a replica trusted last ('newest'). It shows whether the database's clock has jumped
-- while no replica watched it.
create table clock_heartbeats (
  name          text not null,
  trusted_at    timestamptz(3) not null,
  database_at   timestamptz(3) not null, -- the database's clock at that time
  acceptance_id bigint not null,         -- the newest acceptance when the clocks agreed last; 0: none
  writer        uuid not null,           -- the process
  primary key (name)
) with (fillfactor = 70);
grant select, insert, update on clock_heartbeats to scrip_runtime;

-- When an operator accepted the database's clock, after a jump. Replicas that wait for it look for
-- a new row.
create table clock_acceptances (
  acceptance_id bigint not null,         -- 1, 2, 3 …
  database_at   timestamptz(3) not null, -- the database's clock
  host_at       timestamptz(3) not null, -- the clock of the operator's machine
  primary key (acceptance_id)
);
grant select, insert on clock_acceptances to scrip_runtime;
