-- The schema of the database, as the migrations in src/pg/migrations make it. `npm run schema` writes
-- this page from the table definitions in src/store/tables. A test creates a database from it and
-- compares that with a migrated one.
--
-- account_id is in every primary and unique key of the account tables, no column is filled by a default,
-- sequence or trigger, and there are no foreign keys: every write holds the lock of its account's row.
-- So the tables can be distributed by account_id as they are. The CHECKs repeat the ledger's invariants.
--
-- The service works under the role scrip_runtime. It can change what updates of the service write, and nothing
-- else: no entry, no amount or expiry of a grant, no price.
-- Instants have a time zone, and are exact to the millisecond.

-- Plans. What they say is in plan_versions and rate_cards.
create table plans (
  plan_id    text not null,
  version    int not null,            -- the newest of plan_versions: it is in force
  updated_at timestamptz(3) not null,
  revision   int not null,            -- incremented by every publication that changes something
  withdrawn  jsonb not null,          -- rate card versions that were replaced before they took effect
  hash       bytea not null,          -- SHA-256 over the row and the hashes of its newest versions
  primary key (plan_id)
);
grant select on plans to scrip_runtime;

-- Plans' terms and packs: every version that there ever was, immutable.
create table plan_versions (
  plan_id    text not null,
  version    int not null,            -- 1, 2, 3 … within the plan
  title      text not null,
  terms      jsonb not null,          -- terms and packs; see src/pricing/plan-file/plan-json.ts
  created_at timestamptz(3) not null, -- it is in force from then until the next
  hash       bytea not null,          -- SHA-256 over the row and the hash of the version before it
  primary key (plan_id, version),
  constraint plan_versions_version_check check (version > 0)
);
grant select on plan_versions to scrip_runtime;

-- Plans' prices for operations: every version that there ever was, immutable.
create table rate_cards (
  plan_id      text not null,
  version      int not null,            -- 1, 2, 3 … within the plan
  content      jsonb not null,          -- prices; see src/pricing/plan-file/plan-json.ts
  created_at   timestamptz(3) not null,
  effective_at timestamptz(3) not null, -- the version is in force from then until the next
  hash         bytea not null,          -- SHA-256 over the row and the hash of the version before it
  primary key (plan_id, version),
  constraint rate_cards_version_check check (version > 0)
);
grant select on rate_cards to scrip_runtime;

-- Owners of balances. A unit of work locks the row of each account that it changes.
create table accounts (
  account_id         text not null,           -- given by the caller
  opened_at          timestamptz(3) not null,
  time_zones         jsonb,                   -- the zones it was given, oldest first, each with the millisecond when; null: always UTC
  closed_at          timestamptz(3),          -- null while the account is open
  state              text not null,
  suspension         jsonb,                   -- new work is refused; null: it is not
  plan_id            text not null,           -- the plan that the account lives under
  display_name       text not null,
  labels             jsonb not null,          -- {"name": "value"}
  low_balance_levels jsonb,                   -- e.g. ["500", "10%"]; null: the plan's
  pause_floor        bigint,                  -- null: the plan's is in force
  low_levels         jsonb,                   -- the newest event of each says "low"; null: no change since it was opened
  auto_top_up        jsonb,                   -- what the owner switched on; null: off
  top_ups            jsonb,                   -- past and current top-ups; null before the first
  top_up_due_at      timestamptz(3),          -- a top-up is to be started or checked; null: none
  statement_due_at   timestamptz(3),          -- when the next month is closed: at its end, or later by the late usage that the plan takes; null: never
  statement_plan_id  text,                    -- the postpaid plan that prices that month
  events_hash        bytea,                   -- of the events that no entry covers yet; null: none
  caller_days        jsonb,                   -- what callers with a limit have moved on its UTC day; null: none
  budgets            jsonb,                   -- in the order of their ids; null: none
  archived_seq       bigint,                  -- the entries up to it are archived; null: none is
  shadow             jsonb,                   -- what is used is only recorded, or was until it ended; null: never
  owed               bigint,                  -- charged or claimed back, and paid by nothing yet; null: 0
  overage_before     bigint,                  -- used in the month before that of last_at, while late usage can add to it; null: none
  seq                bigint not null,         -- of the newest entry
  grant_count        bigint not null,         -- number of the newest grant
  event_count        bigint not null,         -- seq of the newest event
  remaining          bigint not null,         -- sum over the account's grants
  reserved           bigint not null,         -- sum over the account's grants
  granted            bigint not null,         -- sum of the amounts of grants with credits left
  scheduled          bigint not null,         -- sum of the amounts of grants that are not effective yet
  overage            bigint not null,         -- used in the calendar month of last_at and covered by no grant
  overage_reserved   bigint not null,         -- of reservations that no grant covers
  overage_limit      bigint not null,
  allowance_due_at   timestamptz(3),          -- end of the period granted last; null: none lasts
  has_limited_grants boolean not null,        -- an open grant is limited to operations, or was
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
  constraint accounts_available_check check (
    reserved >= 0
    and reserved <= remaining
    and remaining <= granted
  ),
  constraint accounts_overage_check check (
    overage >= 0
    and overage_reserved >= 0
    and overage + overage_reserved <= overage_limit
  ),
  constraint accounts_overage_before_check check (
    overage_before > 0
    and overage_before <= overage_limit
  ),
  constraint accounts_owed_check check (owed > 0),
  constraint accounts_version_check check (version > 0)
) with (fillfactor = 70);
create index accounts_due on accounts (due_at) where due_at is not null;
create index accounts_statement_due on accounts (statement_due_at) where statement_due_at is not null;
create index accounts_top_up_due on accounts (top_up_due_at) where top_up_due_at is not null;
create index accounts_auto_top_up on accounts (plan_id, account_id) where auto_top_up is not null;
create index accounts_by_plan on accounts (plan_id, account_id);
create index accounts_by_label on accounts using gin (labels);
create index accounts_closed on accounts (account_id) where state = 'CLOSED';
create index accounts_suspended on accounts (account_id) where suspension is not null;
create index accounts_in_shadow on accounts (account_id) where shadow is not null and shadow ->> 'until' is null;
alter table accounts alter column time_zones set statistics 0,
  alter column suspension set statistics 0,
  alter column labels set statistics 0,
  alter column auto_top_up set statistics 0,
  alter column top_ups set statistics 0,
  alter column events_hash set statistics 0,
  alter column budgets set statistics 0,
  alter column shadow set statistics 0,
  alter column last_hash set statistics 0;
grant select, insert, update (time_zones, closed_at, state, suspension, plan_id, display_name,
  labels, low_balance_levels, pause_floor, low_levels, auto_top_up, top_ups, top_up_due_at,
  statement_due_at, statement_plan_id, events_hash, caller_days, budgets, archived_seq, shadow, owed,
  overage_before, seq, grant_count, event_count, remaining, reserved, granted, scheduled, overage,
  overage_reserved, overage_limit, allowance_due_at, has_limited_grants, due_at, last_at, last_hash,
  version) on accounts to scrip_runtime;

-- Allocations of credits to accounts.
create table grants (
  account_id       text not null,
  grant_id         bigint not null,         -- 1, 2, 3 … within the account
  amount           bigint not null,
  remaining        bigint not null,         -- not spent yet
  reserved         bigint not null,         -- of remaining: set aside by active reservations
  voided           bigint,                  -- an operator voided so many; null: 0
  void_on_return   bigint,                  -- voided as they come back; null: 0
  expired          bigint,                  -- of an allowance: what late usage can bring back; null: 0
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
  paid             boolean not null,        -- for the burn order
  created_at       timestamptz(3) not null,
  primary key (account_id, grant_id),
  constraint grants_amount_check check (amount > 0),
  constraint grants_remaining_check check (remaining >= 0 and remaining <= amount),
  constraint grants_reserved_check check (reserved >= 0 and reserved <= remaining),
  constraint grants_voided_check check (
    voided > 0
    and voided <= amount - remaining
    and void_on_return > 0
  ),
  constraint grants_expired_check check (expired > 0 and expired <= amount),
  constraint grants_priority_check check (priority >= 0 and priority <= 100),
  constraint grants_expiry_check check (expires_at > effective_at),
  constraint grants_category_check check (
    category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')
  ),
  constraint grants_state_check check (
    state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED', 'VOIDED')
  ),
  constraint grants_operations_check check (jsonb_array_length(operations) > 0),
  constraint grants_paid_check check ((category = 'PAID') = paid),
  constraint grants_open_check check ((state = 'SCHEDULED' or remaining > 0) = open)
) with (fillfactor = 70);
create index grants_in_burn_order on grants (account_id, priority, expires_at, paid, grant_id) where open;
create index grants_by_expiry on grants (account_id, expires_at) where open;
create index grants_to_return on grants (account_id, expires_at) where expired is not null;
alter table grants alter column operations set statistics 0;
grant select, insert, update (remaining, reserved, voided, void_on_return, expired, priority,
  expires_at, operations, notice_at, stranded, state, open) on grants to scrip_runtime;

-- Credits set aside from named grants for running jobs. A row is deleted when its reservation is
-- committed or released: from then on its entries say what it was.
create table reservations (
  account_id          text not null,
  reservation_id      uuid not null,           -- ordered by time
  state               smallint not null,       -- ACTIVE (1) until the account is settled, even past expires_at; EXPIRED (4)
  over_commit_policy  smallint not null,       -- of a commit of more than was reserved: REJECT (1), CAP (2), DRAW (3), TAKE (4)
  rate_card_version   int not null,
  entry_seq           bigint not null,         -- of the entry that made it
  credits             bigint not null,         -- reserved, at first and by raising it since
  committed           bigint not null,
  returned            bigint not null,         -- given back to the grants
  created_at          timestamptz(3) not null,
  expires_at          timestamptz(3) not null,
  late                boolean not null,        -- committed after it had expired, within the grace period
  plan_id             text not null,           -- the plan whose rate card prices every commit
  allocations         json not null,           -- [[grant, credits], …] still held, in burn order; grant 0 is overage
  expired_allocations json,                    -- [[grant, credits], …] given back by its expiry and not committed late; null: none
  held_for            json,                    -- [[operation, credits], …] where limited grants are held; else null
  held_by_operation   json,                    -- [[operation, credits], …] not committed, where a budget counts operations; else null
  used_at             timestamptz(3),          -- when its work was done; null: commits count when they are made
  caller              text not null,           -- who reserved
  reference           text,                    -- the caller's name for the job; null: none
  labels              json,                    -- {"name": "value"}; null: none
  primary key (account_id, reservation_id),
  constraint reservations_state_check check (
    state in (1, 4)
    and (state = 1 or allocations::text = '[]')
  ),
  constraint reservations_policy_check check (over_commit_policy in (1, 2, 3, 4)),
  constraint reservations_credits_check check (credits >= 0 and committed >= 0 and returned >= 0),
  constraint reservations_whole_check check (
    committed + returned <= credits or over_commit_policy in (3, 4)
  )
);
create index reservations_active on reservations (account_id, expires_at) where state = 1;
create index reservations_by_age on reservations (state, created_at, reservation_id);
alter table reservations alter column allocations set statistics 0,
  alter column expired_allocations set statistics 0,
  alter column held_for set statistics 0,
  alter column held_by_operation set statistics 0,
  alter column labels set statistics 0;
grant select, insert, update (state, credits, committed, returned, expires_at, late, allocations,
  expired_allocations, held_for, held_by_operation), delete on reservations to scrip_runtime;

-- The history of accounts: immutable rows in a hash chain; credits move from bucket to bucket. The
-- view history spells them. Personal data can be erased: see erase_entry.
create table entries (
  account_id        text not null,
  seq               bigint not null,         -- 1, 2, 3 … within the account, without gaps
  at                timestamptz(3) not null, -- never before the entry before it
  credits           bigint not null,         -- what it is about: granted, reserved, committed, …
  remaining_after   bigint not null,         -- of the account, as are the next two
  reserved_after    bigint not null,
  overage_after     bigint,                  -- null: 0
  refunded_seq      bigint,                  -- of a REFUND: the commit or charge that it gives back
  grant_id          bigint,                  -- the grant that it made or changed
  plan_version      int not null,            -- of the plan: see plan_versions
  rate_card_version int,                     -- of the plan, where a price is concerned
  kind              smallint not null,       -- a number; the view history spells it
  method            smallint,                -- of the request, a number as well; null: no request, or not its first entry
  reservation_id    uuid,
  purchase_id       uuid,
  plan_id           text not null,           -- whose terms and prices applied; of a PLAN_CHANGE: the new plan
  previous_plan_id  text,                    -- of a PLAN_CHANGE
  caller            text not null,           -- "scrip" for what the service does by itself
  request_id        bytea,                   -- see request_id_to_text; null for what the service does by itself
  trace_id          uuid,                    -- W3C trace id
  span_id           bytea,
  content           json not null,           -- moves, usages and more: see the view history
  hash              bytea not null,          -- SHA-256 over the row and the hash of the entry before it
  fingerprint       bytea,                   -- with a method: hash of what the request asked for
  response          bytea,                   -- with a method: protobuf-encoded, packed; a replay gets it again
  reference         text,                    -- the caller's name for the job; null: none
  personal          json,                    -- labels and other personal data; null: none
  salt              bytea,                   -- hashed with personal data and the request; null: there are none, or erased
  erased_hash       bytea,                   -- the personal_hash of what was erased; null: nothing was
  primary key (account_id, seq),
  constraint entries_seq_check check (seq > 0),
  constraint entries_after_check check (
    credits >= 0
    and remaining_after >= 0
    and reserved_after >= 0
    and overage_after >= 0
  ),
  constraint entries_kind_check check (kind >= 1 and kind <= 33),
  constraint entries_request_check check (
    method >= 1
    and method <= 28
    and (method is null or request_id is not null)
  ),
  constraint entries_plan_change_check check ((kind = 11) = (previous_plan_id is not null)),
  constraint entries_erased_check check (
    erased_hash is null or num_nonnulls(fingerprint, response, reference, personal, salt) = 0
  )
);
create unique index entries_request on entries (request_id, account_id, method) where method is not null;
create index entries_by_reservation on entries (reservation_id) where reservation_id is not null;
create index entries_by_purchase on entries (purchase_id) where purchase_id is not null;
create index entries_by_trace on entries (trace_id) where trace_id is not null;
create index entries_by_reference on entries (reference) where reference is not null;
create index entries_by_refunded on entries (account_id, refunded_seq) where refunded_seq is not null;
alter table entries alter column content set statistics 0,
  alter column hash set statistics 0,
  alter column fingerprint set statistics 0,
  alter column response set statistics 0,
  alter column personal set statistics 0,
  alter column salt set statistics 0,
  alter column erased_hash set statistics 0;
grant select, insert on entries to scrip_runtime;

-- How much of a commit or charge has been refunded. A row exists from its first refund on.
create table refunded (
  account_id text not null,
  seq        bigint not null, -- of the entry of the commit or charge
  committed  bigint not null, -- credits of that entry
  refunded   bigint not null, -- credits given back so far
  primary key (account_id, seq),
  constraint refunded_check check (refunded > 0 and refunded <= committed)
);
grant select, insert, update (refunded) on refunded to scrip_runtime;

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
  credits_owed          bigint,                  -- of those: used, so the account came to owe them; null: 0
  sync_version          int not null,            -- how often it was synchronised with the provider
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
  constraint purchases_owed_check check (credits_owed > 0 and credits_owed <= credits),
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
create index purchases_imported_payment on purchases (payment_intent_id) where method = 'REFERENCE' and payment_intent_id is not null;
create index purchases_mismatched on purchases (account_id, purchase_id) where state = 'MISMATCHED';
grant select, insert, update (state, session_id, checkout_url, session_expires_at,
  payment_intent_id, failure_code, grant_id, paid_at, currency_paid, amount_paid, amount_refunded,
  dispute_state, decision, decided_by, decision_reason, decided_at, credits_clawed_back,
  credits_unrecovered, credits_owed, sync_version, next_check_at) on purchases to scrip_runtime;

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
grant select, insert, update (title, credits, currency, amount, validity, offered_at, offered_by,
  withdrawn_at) on custom_packs to scrip_runtime;

-- What values of labels, and operations, have used of the budgets of accounts, by period. A row
-- exists from the first use on. It is written by the transaction of the entry that it counts.
create table budget_counters (
  account_id   text not null,
  since        bigint not null,         -- of the budget: seq of the entry since which it counts
  period_from  timestamptz(3) not null, -- first moment of the period; 1970-01-01 in total
  value        text not null,           -- of the label, or the operation; empty: work without one
  used         bigint not null,         -- credits that jobs which began in the period hold or have committed
  reported_cap bigint,                  -- soft budgets: the highest cap whose exceeding an event has told; null: none
  primary key (account_id, since, period_from, value),
  constraint budget_counters_used_check check (used >= 0)
) with (fillfactor = 70);
grant select, insert, update (used, reported_cap) on budget_counters to scrip_runtime;

-- What callers with a limit per day have granted and refunded on their last UTC day, over all
-- accounts.
create table caller_quotas (
  caller  text not null,
  day     int not null,    -- counted from 1970-01-01
  credits bigint not null,
  primary key (caller),
  constraint caller_quotas_credits_check check (credits >= 0)
);
grant select, insert, update (day, credits) on caller_quotas to scrip_runtime;

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
  content    jsonb not null,          -- usage, what was owed, rates, lines and adjustments
  primary key (account_id, month),
  constraint statements_month_check check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  constraint statements_seq_check check (after_seq >= 0 and after_seq <= last_seq),
  constraint statements_overage_check check (overage >= 0),
  constraint statements_total_check check ((total is null) = (currency is null))
);
create index statements_by_plan on statements (plan_id, month, account_id);
grant select, insert on statements to scrip_runtime;

-- What accounts used, by the hour: sums over their entries up to the seq of usage_positions. An
-- entry counts once without a label, and once more for each of its labels.
create table usage_rollups (
  account_id        text not null,
  label             text not null,           -- the label whose values the row is one of; empty: of all entries
  hour              timestamptz(3) not null, -- its first moment, UTC
  operation         text not null,           -- empty: credits without a usage
  caller            text not null,           -- who charged
  plan_id           text not null,           -- whose prices applied
  rate_card_version int not null,            -- of that plan; 0: none
  beyond            boolean not null,        -- of all values, or without a label of all labels, beyond the limit
  label_value       text not null,           -- as entries state it
  count             numeric not null,        -- how many times
  credits           numeric not null,        -- charged in this hour, overage included
  refunded          numeric not null,        -- given back in this hour, of charges of any time
  primary key (account_id, label, hour, operation, caller, plan_id, rate_card_version, beyond, label_value),
  constraint usage_rollups_hour_check check (extract(epoch from hour) % 3600 = 0),
  constraint usage_rollups_label_check check (
    (label <> '' or label_value = '')
    and (not beyond or label_value = '')
  ),
  constraint usage_rollups_sums_check check (count >= 0 and credits >= 0 and refunded >= 0)
);
create index usage_rollups_by_hour on usage_rollups (label, hour, plan_id);
grant select, insert, update (count, credits, refunded), delete on usage_rollups to scrip_runtime;

-- The measured quantities of usage_rollups, such as pages. Refunds lower nothing here.
create table usage_quantities (
  account_id        text not null,
  label             text not null,           -- the label whose values the row is one of; empty: of all entries
  hour              timestamptz(3) not null, -- its first moment, UTC
  operation         text not null,           -- empty: credits without a usage
  caller            text not null,           -- who charged
  plan_id           text not null,           -- whose prices applied
  rate_card_version int not null,            -- of that plan; 0: none
  beyond            boolean not null,        -- of all values, or without a label of all labels, beyond the limit
  label_value       text not null,           -- as entries state it
  quantity          text not null,           -- such as "pages"
  total             numeric not null,        -- of one usage, times its count
  primary key (account_id, label, hour, operation, caller, plan_id, rate_card_version, beyond, label_value, quantity),
  constraint usage_quantities_hour_check check (extract(epoch from hour) % 3600 = 0),
  constraint usage_quantities_label_check check (
    (label <> '' or label_value = '')
    and (not beyond or label_value = '')
  ),
  constraint usage_quantities_total_check check (total >= 0)
);
create index usage_quantities_by_hour on usage_quantities (label, hour, plan_id);
grant select, insert, update (total), delete on usage_quantities to scrip_runtime;

-- How far the entries of each account are in usage_rollups. Who counts more locks the row.
create table usage_positions (
  account_id text not null,
  seq        bigint not null, -- the rollups are exact up to this entry
  labels     jsonb,           -- of the month of the newest usage, the values that have rows of their own; null: none
  primary key (account_id),
  constraint usage_positions_seq_check check (seq >= 0)
) with (fillfactor = 70);
alter table usage_positions alter column labels set statistics 0;
grant select, insert, update (seq, labels) on usage_positions to scrip_runtime;

-- What moved the unspent credits of accounts, by the month: sums over their entries up to the seq
-- of roll_forward_positions. Roll-forwards are sums of them.
create table roll_forward_sums (
  account_id text not null,
  month      text not null,    -- in UTC, e.g. "2026-11"
  plan_id    text not null,    -- the plan that the entries name
  category   text not null,    -- of the grants
  currency   text not null,    -- in which the grants were paid, ISO 4217; empty: without a price
  movement   text not null,
  credits    numeric not null, -- what is spent, expired, voided and clawed back is lost, the rest is gained
  amount     numeric not null, -- what was paid for them, in the smallest unit of the currency
  primary key (account_id, month, plan_id, category, currency, movement),
  constraint roll_forward_sums_month_check check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  constraint roll_forward_sums_category_check check (
    category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')
  ),
  constraint roll_forward_sums_movement_check check (
    movement in ('ISSUED', 'REFUNDED', 'SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK', 'MOVED',
    'CORRECTED')
  ),
  constraint roll_forward_sums_credits_check check (credits >= 0 or movement = 'MOVED'),
  constraint roll_forward_sums_amount_check check (
    (amount >= 0 or movement = 'MOVED')
    and (amount = 0 or currency <> '')
    and (currency = '' or category = 'PAID')
  )
);
create index roll_forward_sums_by_month on roll_forward_sums (month, plan_id);
grant select, insert, update (credits, amount), delete on roll_forward_sums to scrip_runtime;

-- How far the entries of each account are in roll_forward_sums. Who counts more locks the row.
create table roll_forward_positions (
  account_id text not null,
  seq        bigint not null, -- the sums are exact up to this entry
  plan_id    text not null,   -- the account's plan after it
  remaining  jsonb not null,  -- unspent credits of its grants after it: {"grant": "credits"}
  primary key (account_id),
  constraint roll_forward_positions_seq_check check (seq >= 0)
) with (fillfactor = 70);
alter table roll_forward_positions alter column remaining set statistics 0;
grant select, insert, update (seq, plan_id, remaining) on roll_forward_positions to scrip_runtime;

-- What subscribers are told, written by the transaction that caused it (outbox).
create table events (
  account_id text not null,
  event_id   uuid not null,
  seq        bigint not null,         -- 1, 2, 3 … within the account
  position   bigint,                  -- 1, 2, 3 … over all accounts; given after the commit. Below 0: given in another cell, see moved_events
  type       text not null,           -- e.g. "balance.low"
  at         timestamptz(3) not null,
  data       jsonb not null,          -- {"name": "value"}
  trace_id   text not null,           -- W3C trace id, hexadecimal, of what caused it
  span_id    text not null,
  sampled    boolean not null,        -- whether that span was exported
  salt       bytea,                   -- hashed with the data; null: both are erased
  data_hash  bytea not null,          -- SHA-256 over data and salt; it stays when they are erased
  hash       bytea not null,          -- SHA-256 over the rest and the statement that it says was closed
  primary key (account_id, event_id),
  constraint events_seq_check check (seq > 0),
  constraint events_position_check check (position <> 0)
);
create index events_waiting on events (account_id, seq) where position is null;
create index events_by_position on events (position);
create index events_of_account on events (account_id, position);
alter table events alter column data set statistics 0,
  alter column salt set statistics 0,
  alter column data_hash set statistics 0,
  alter column hash set statistics 0;
grant select, insert, update (position) on events to scrip_runtime;

-- How far the outbox has got: the last position given ("assigned"), and the last that has a
-- delivery ("enqueued").
create table event_cursors (
  name     text not null,
  position bigint,        -- null: no webhook endpoint was ever configured
  primary key (name)
);
grant select, update (position) on event_cursors to scrip_runtime;

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
grant select, insert, update (state, attempts, due_at, last_attempt_at, last_error, ended_at) on
  deliveries to scrip_runtime;

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
grant select, insert, update (trusted_at, database_at, acceptance_id, writer) on clock_heartbeats to
  scrip_runtime;

-- When an operator accepted the database's clock, after a jump. Replicas that wait for it look for
-- a new row.
create table clock_acceptances (
  acceptance_id bigint not null,         -- 1, 2, 3 …
  database_at   timestamptz(3) not null, -- the database's clock
  host_at       timestamptz(3) not null, -- the clock of the operator's machine
  primary key (acceptance_id)
);
grant select on clock_acceptances to scrip_runtime;

-- Audits of the whole ledger (npm run verify), for metrics and alerts. Nothing that decides credits
-- reads them.
create table verify_runs (
  run_id        uuid not null,
  finished_at   timestamptz(3) not null, -- the database's clock
  accounts      bigint not null,         -- audited; 0 where something was found
  entries       bigint not null,         -- audited; 0 where something was found
  discrepancies int not null,            -- found; without --all an audit ends after the first accounts that have some
  primary key (run_id)
);
create index verify_runs_newest on verify_runs (finished_at);
create index verify_runs_successful on verify_runs (finished_at) where discrepancies = 0;
grant select, insert on verify_runs to scrip_runtime;

-- The cell that this ledger is, and the map of the 4,096 slots of accounts to all cells. Empty: it
-- is the only one.
create table cells (
  name        text not null,           -- of this cell: there is one row
  map_version int not null,            -- 1, 2, 3 …
  slots       jsonb not null,          -- by cell: first and last of each range; see src/cells/cell-map.ts
  recorded_at timestamptz(3) not null,
  primary key (name)
);
grant select on cells to scrip_runtime;

-- The move of slots from this cell or to it that is going on. Empty: none is.
create table slot_moves (
  move_id    uuid not null,
  from_cell  text not null,
  to_cell    text not null,
  slots      jsonb not null,          -- first and last of each range
  phase      text not null,           -- see src/store/tables/slot-moves.ts
  started_at timestamptz(3) not null,
  primary key (move_id),
  constraint slot_moves_phase_check check (phase in ('COPYING', 'STOPPING', 'STOPPED', 'SWITCHED'))
);
grant select on slot_moves to scrip_runtime;

-- What replicas know of the move of slots from this cell. They write it while there is one.
create table cell_replicas (
  replica_id  uuid not null,           -- the process
  move_id     uuid not null,
  phase       text not null,           -- that the replica has read, and obeys
  map_version int not null,            -- by which it routes calls
  seen_at     timestamptz(3) not null,
  primary key (replica_id)
) with (fillfactor = 70);
grant select, insert, update (move_id, phase, map_version, seen_at) on cell_replicas to
  scrip_runtime;

-- Events that have their position in this cell, and whose account has been moved to another since.
-- Streams read them there.
create table moved_events (
  account_id text not null,
  event_id   uuid not null,
  position   bigint not null, -- in this cell
  primary key (account_id, event_id),
  constraint moved_events_position_check check (position > 0)
);
create index moved_events_by_position on moved_events (position);
create index moved_events_of_account on moved_events (account_id, position);
grant select on moved_events to scrip_runtime;

-- When the database was restored from a backup. The newest row tells tokens of event streams from
-- those of before.
create table restores (
  restore_id  uuid not null,
  restored_at timestamptz(3) not null,
  primary key (restore_id)
);
grant select on restores to scrip_runtime;

-- What accounts would have used in shadow mode, beside what their rows say.
create table shadow_use (
  account_id text not null,
  since      timestamptz(3) not null, -- when the shadow mode began that it is of
  seq        bigint not null,         -- of the newest decision
  since_seq  bigint not null,         -- of the newest decision before that shadow mode
  used       json not null,           -- of grants, overage and budgets, in addition
  primary key (account_id)
) with (fillfactor = 70);
grant select, insert, update (since, seq, since_seq, used) on shadow_use to scrip_runtime;

-- What was decided in shadow mode, and would have been entries. Rows are never changed. They move
-- no credits.
create table shadow_decisions (
  account_id        text not null,
  seq               bigint not null,         -- 1000000000000001, … within the account, without gaps
  at                timestamptz(3) not null,
  credits           bigint not null,         -- what it is about: reserved, committed, …
  available_after   bigint not null,         -- what would have been available after it
  refunded_seq      bigint,                  -- of a REFUND: the commit or charge
  plan_version      int not null,            -- of the plan
  rate_card_version int,                     -- of the plan
  kind              smallint not null,       -- a number, as of entries
  method            smallint,                -- a number, as of entries; null: no request
  reservation_id    uuid,
  plan_id           text not null,           -- whose terms and prices applied
  caller            text not null,
  request_id        bytea,                   -- see request_id_to_text; null: no request
  trace_id          uuid,                    -- W3C trace id
  content           json not null,           -- moves, usages and more, as of entries
  fingerprint       bytea,                   -- with a method: hash of what the request asked for
  response          bytea,                   -- with a method: protobuf-encoded, packed
  reference         text,                    -- the caller's name for the job; null: none
  labels            json,                    -- {"name": "value"}; null: none
  refusal           json,                    -- the reason and the values of the error that it would have been; null: allowed
  primary key (account_id, seq),
  constraint shadow_decisions_seq_check check (seq > 1000000000000000)
);
create unique index shadow_decisions_request on shadow_decisions (request_id, account_id, method) where method is not null;
create index shadow_decisions_by_reservation on shadow_decisions (reservation_id) where reservation_id is not null;
create index shadow_decisions_by_refunded on shadow_decisions (account_id, refunded_seq) where refunded_seq is not null;
alter table shadow_decisions alter column content set statistics 0,
  alter column fingerprint set statistics 0,
  alter column response set statistics 0,
  alter column labels set statistics 0,
  alter column refusal set statistics 0;
grant select, insert on shadow_decisions to scrip_runtime;

-- Jobs that were reserved in shadow mode. They hold nothing of their account.
create table shadow_reservations (
  account_id     text not null,
  reservation_id uuid not null,
  state          text not null,           -- ACTIVE until its account is used, even past expires_at
  expires_at     timestamptz(3) not null,
  job            json not null,           -- what it holds, and has committed
  start          json not null,           -- how it was made
  primary key (account_id, reservation_id)
);
create index shadow_reservations_active on shadow_reservations (account_id, expires_at) where state = 'ACTIVE';
alter table shadow_reservations alter column job set statistics 0,
  alter column start set statistics 0;
grant select, insert, update (state, expires_at, job) on shadow_reservations to scrip_runtime;

-- Files with archived entries. Each was whole, and on disk, before its row was written.
create table archive_files (
  name          text not null,   -- of the file, in ARCHIVE_DIRECTORY
  month         text not null,   -- of its entries, e.g. "2026-11", UTC
  part          int not null,    -- 1, 2, 3 … within the month
  first_account text not null,   -- its entries are in the order of their accounts, by bytes, and seqs
  last_account  text not null,
  entries       bigint not null,
  bytes         bigint not null,
  sha256        bytea not null,  -- of the file
  finished_at   timestamptz(3),  -- all its entries have left the database; null: not yet
  primary key (name),
  constraint archive_files_entries_check check (entries > 0)
);
grant select on archive_files to scrip_runtime;

-- How far entries of accounts are archived. It moves in the transaction that deletes the rows:
-- entries up to seq are read from files, later ones from the table.
create table archived_accounts (
  account_id   text not null,
  seq          bigint not null, -- entries up to it have left the table
  at           timestamptz(3),  -- time of that entry; null: none has left
  requests_seq bigint not null, -- requests of entries up to it are in archived_requests
  key          bytea,           -- encrypts the personal data of its entries in files; null: erased, with all that it encrypts
  primary key (account_id),
  constraint archived_accounts_seq_check check (seq >= 0 and requests_seq >= seq)
);
alter table archived_accounts alter column key set statistics 0;
grant select on archived_accounts to scrip_runtime;

-- The requests of archived entries: a repetition is refused, and never carried out again. Hashes of
-- 16 bytes, in their order, up to 112 in a row.
create table archived_requests (
  account_id text not null,
  first_key  bytea not null, -- the first of the hashes
  keys       bytea not null, -- hashes of method and request id, one after the other
  primary key (account_id, first_key),
  constraint archived_requests_keys_check check (length(keys) > 0 and length(keys) % 16 = 0)
);
alter table archived_requests alter column keys set statistics 0;
grant select on archived_requests to scrip_runtime;

-- Request ids are stored as bytes: a UUID in 16, any other as UTF-8. One that would be taken for a UUID
-- because of its length is preceded by a zero byte.
create function request_id_to_text(id bytea) returns text
  immutable strict parallel safe
  return case
    when length(id) = 16 then encode(id, 'hex')::uuid::text
    when get_byte(id, 0) = 0 then convert_from(substr(id, 2), 'UTF8')
    else convert_from(id, 'UTF8')
  end;

-- To look for a request id: where request_id = request_id_to_bytes('…') and method is not null.
create function request_id_to_bytes(id text) returns bytea
  immutable strict parallel safe
  return case
    when id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
      then decode(replace(id, '-', ''), 'hex')
    when octet_length(id) = 16 then '\x00'::bytea || convert_to(id, 'UTF8')
    else convert_to(id, 'UTF8')
  end;

-- The slot of an account, which has a cell: see docs/cells.md.
create function account_slot(id text) returns int
  immutable strict parallel safe
  return ('x' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 3))::bit(12)::int;

-- Entries in words, e.g.: select * from history where account_id = '…' order by seq.
create view history as
  select
    account_id, seq, at,
    case kind
      when 1 then 'GRANT'
      when 2 then 'GRANT_EFFECTIVE'
      when 3 then 'GRANT_EXPIRED'
      when 4 then 'PURCHASE'
      when 5 then 'RESERVE'
      when 6 then 'COMMIT'
      when 7 then 'RELEASE'
      when 8 then 'EXPIRE'
      when 9 then 'CHARGE'
      when 10 then 'REFUND'
      when 11 then 'PLAN_CHANGE'
      when 12 then 'RAISE'
      when 13 then 'EXTEND'
      when 14 then 'OPEN_ACCOUNT'
      when 15 then 'UPDATE_ACCOUNT'
      when 16 then 'CLOSE_ACCOUNT'
      when 17 then 'OFFER_PACK'
      when 18 then 'WITHDRAW_PACK'
      when 19 then 'CHECKOUT'
      when 20 then 'CLAW_BACK'
      when 21 then 'REINSTATE'
      when 22 then 'REJECT_PURCHASE'
      when 23 then 'PAYMENT'
      when 24 then 'ERASE_ACCOUNT_DATA'
      when 25 then 'VOID_GRANT'
      when 26 then 'UPDATE_GRANT'
      when 27 then 'SUSPEND_ACCOUNT'
      when 28 then 'RESUME_ACCOUNT'
      when 29 then 'SET_BUDGET'
      when 30 then 'REMOVE_BUDGET'
      when 31 then 'IMPORT'
      when 32 then 'CHECKPOINT'
      when 33 then 'PAY_OWED'
    end as kind,
    credits, remaining_after, reserved_after, coalesce(overage_after, 0) as overage_after,
    reservation_id, purchase_id, grant_id, refunded_seq,
    plan_id, plan_version, rate_card_version, previous_plan_id,
    caller, personal ->> 'on_behalf_of' as on_behalf_of, content ->> 'c' as certificate,
    request_id_to_text(request_id) as request_id,
    case method
      when 1 then 'OpenAccount'
      when 2 then 'UpdateAccount'
      when 3 then 'CloseAccount'
      when 4 then 'MoveAccount'
      when 5 then 'GrantCredits'
      when 6 then 'OfferPack'
      when 7 then 'WithdrawPack'
      when 8 then 'Purchase'
      when 9 then 'ResolvePurchase'
      when 10 then 'Reserve'
      when 11 then 'RaiseReservation'
      when 12 then 'ExtendReservation'
      when 13 then 'Commit'
      when 14 then 'Release'
      when 15 then 'Charge'
      when 16 then 'Refund'
      when 17 then 'EraseAccountData'
      when 18 then 'VoidGrant'
      when 19 then 'UpdateGrant'
      when 20 then 'SuspendAccount'
      when 21 then 'ResumeAccount'
      when 22 then 'SetBudget'
      when 23 then 'RemoveBudget'
      when 24 then 'ImportAccount'
      when 28 then 'SetShadowMode'
    end as method,
    reference,
    personal -> 'labels' as labels,
    replace(trace_id::text, '-', '') as trace_id, encode(span_id, 'hex') as span_id,
    coalesce((content ->> 'l')::boolean, false) as late,
    case when kind = 6 then coalesce((content ->> 'f')::boolean, true) end as final,
    (content ->> 'a')::bigint as asked,
    to_timestamp((content ->> 'x')::bigint / 1000.0) as expires_at,
    case when kind = 5 then coalesce(content ->> 'p', 'REJECT') end as over_commit_policy,
    content -> 'd' as details,
    personal,
    content -> 'm' as moves, content -> 'u' as usages,
    erased_hash is not null as erased,
    coalesce((content ->> 'w')::bigint, 0) as owed_after,
    to_timestamp((content ->> 't')::bigint / 1000.0) as used_at
  from entries;

-- The moves of entries, one per row. Every balance is a sum of moves.
create view history_moves as
  select
    e.account_id, e.seq, e.at, m.number,
    case left(m.move ->> 0, 1)
        when 'i' then 'issued' when 'a' then 'available' when 'r' then 'reserved'
        when 'o' then 'overage' when 'h' then 'overage_reserved' when 'w' then 'owed'
        when 'c' then 'consumed' when 'x' then 'expired' when 'v' then 'voided'
      end as from_bucket,
    case right(m.move ->> 0, 1)
        when 'i' then 'issued' when 'a' then 'available' when 'r' then 'reserved'
        when 'o' then 'overage' when 'h' then 'overage_reserved' when 'w' then 'owed'
        when 'c' then 'consumed' when 'x' then 'expired' when 'v' then 'voided'
      end as to_bucket,
    nullif((m.move ->> 1)::bigint, 0) as grant_id,
    (m.move ->> 2)::bigint as credits
  from entries e
  cross join json_array_elements(e.content -> 'm') with ordinality as m(move, number);

-- The priced usages of entries, one per row.
create view history_usages as
  select
    e.account_id, e.seq, e.at, u.number,
    u.usage ->> 0 as operation,
    (u.usage ->> 1)::bigint as count,
    (u.usage ->> 2)::bigint as unit_credits,
    (u.usage ->> 1)::bigint * (u.usage ->> 2)::bigint as credits,
    coalesce(u.usage -> 3, '{}') as quantities,
    coalesce(u.usage -> 4, '{}') as attributes,
    coalesce((u.usage ->> 5)::boolean, true) as billable
  from entries e
  cross join json_array_elements(e.content -> 'u') with ordinality as u(usage, number);

-- Reservations that are running or have expired, in words. Of others only the entries are left.
create view running_reservations as
  select
    account_id, reservation_id,
    case state
      when 1 then 'ACTIVE'
      when 4 then 'EXPIRED'
    end as state,
    credits, committed, returned, allocations, expired_allocations, held_for,
    created_at, expires_at, late,
    case over_commit_policy
      when 1 then 'REJECT'
      when 2 then 'CAP'
      when 3 then 'DRAW'
      when 4 then 'TAKE'
    end as over_commit_policy,
    plan_id, rate_card_version, caller, reference, labels, entry_seq, held_by_operation, used_at
  from reservations;

-- The salted hash of an entry's personal data and request. The hash chain covers this hash.
create function personal_hash(
  salt bytea, fingerprint bytea, response bytea, reference text, personal json
) returns bytea
  stable parallel safe
  return sha256(convert_to(
    coalesce(encode(salt, 'hex'), '') || E'\n' || coalesce(encode(fingerprint, 'hex'), '') || E'\n' ||
    coalesce(encode(response, 'hex'), '') || E'\n' || coalesce(reference, '') || E'\n' ||
    coalesce(personal::text, ''), 'UTF8'));

-- Erases the personal data of an entry, with the request and response that repeat it. The chain stays
-- whole. Only the owner of the database may: the service's role has no privilege to change entries.
create function erase_entry(of_account text, of_seq bigint) returns void
  language plpgsql
  as $$
begin
  update entries set
    erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
    salt = null, fingerprint = null, response = null, reference = null, personal = null
  where account_id = of_account and seq = of_seq and erased_hash is null;
end
$$;

-- Erases what was written of persons before an ERASE_ACCOUNT_DATA entry of a closed account. One call erases
-- at most so many rows of a table: with after_seq 0 those beside the entries, until there are none, then entries
-- after after_seq. Returns the seq up to which entries are erased; null where there is no such entry, or the
-- account is open. It runs with the privileges of its owner, and does nothing but erase: the service's role
-- has no privilege to change these columns. Its language is PL/pgSQL, as Citus refuses statements of SQL functions
-- that have parameters.
create function erase_account_data(
  of_account text, of_seq bigint, after_seq bigint, at_most int
) returns bigint
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
  as $$
declare
  erased_to bigint;
begin
  perform 1 from accounts where account_id = of_account for no key update;
  with erasure as (
    select a.account_id, (e.content -> 'd' ->> 'events')::bigint as event_seq
    from accounts a join entries e using (account_id)
    where a.account_id = of_account and a.state = 'CLOSED'
      and e.seq = of_seq and e.kind = 24
  ), erased_purchases as (
    update purchases p set
      labels = '{}', customer_email = null, decision_reason = left(decision_reason, 0),
      payment_reference = left(payment_reference, 0),
      payment_reference_key = case when payment_reference_key is not null then purchase_id::text end,
      success_url = left(success_url, 0), cancel_url = left(cancel_url, 0),
      checkout_url = left(checkout_url, 0), customer = left(customer, 0),
      payment_method = left(payment_method, 0)
    where (account_id, purchase_id) in (
      select account_id, purchase_id from erasure join purchases using (account_id)
      where after_seq = 0 and (labels <> '{}' or payment_reference_key <> purchase_id::text
        or concat(payment_reference, customer_email, decision_reason, success_url, cancel_url,
          checkout_url, customer, payment_method) <> '')
      limit at_most)
    returning 1
  ), erased_reservations as (
    update reservations set reference = null, labels = null
    where (account_id, reservation_id) in (
      select account_id, reservation_id from erasure join reservations using (account_id)
      where after_seq = 0 and num_nonnulls(reference, labels) > 0
      limit at_most)
    returning 1
  ), erased_grants as (
    update grants set source_reference = ''
    where (account_id, grant_id) in (
      select account_id, grant_id from erasure join grants using (account_id)
      where after_seq = 0 and source = 'OPERATOR' and source_reference <> ''
      limit at_most)
    returning 1
  ), erased_events as (
    update events set data = '{}', salt = null
    where (account_id, event_id) in (
      select account_id, event_id from erasure join events using (account_id)
      where after_seq = 0 and seq <= event_seq and salt is not null
        and type in ('budget.exceeded', 'reservation.expired', 'purchase.completed', 'purchase.resolved')
      limit at_most)
    returning 1
  ), erased_deliveries as (
    -- An endpoint may have answered with what it was sent.
    update deliveries set last_error = ''
    where (account_id, event_id) in (
      select account_id, event_id
      from erasure join events using (account_id) join deliveries using (account_id, event_id)
      where after_seq = 0 and seq <= event_seq and last_error <> ''
      limit at_most)
    returning 1
  ), erased_counters as (
    -- Their values are those of labels. A closed account counts nothing any more.
    delete from budget_counters
    where (account_id, since, period_from, value) in (
      select account_id, since, period_from, value
      from erasure join budget_counters using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_decisions as (
    -- They moved no credits: nothing is left of shadow mode but when it was.
    delete from shadow_decisions
    where (account_id, seq) in (
      select account_id, seq from erasure join shadow_decisions using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_jobs as (
    delete from shadow_reservations
    where (account_id, reservation_id) in (
      select account_id, reservation_id from erasure join shadow_reservations using (account_id)
      where after_seq = 0
      limit at_most)
    returning 1
  ), erased_use as (
    delete from shadow_use
    where account_id in (
      select account_id from erasure join shadow_use using (account_id) where after_seq = 0)
    returning 1
  ), forgotten_keys as (
    -- Of entries in files, only what is encrypted is personal.
    update archived_accounts set key = null
    where account_id in (select account_id from erasure where after_seq = 0) and key is not null
    returning 1
  ), rows_beside as (
    select (select count(*) from erased_purchases) + (select count(*) from erased_reservations)
      + (select count(*) from erased_grants) + (select count(*) from erased_events)
      + (select count(*) from erased_deliveries) + (select count(*) from erased_counters)
      + (select count(*) from erased_decisions) + (select count(*) from erased_jobs)
      + (select count(*) from erased_use)
      + (select count(*) from forgotten_keys) as erased
  ), changed_account as (
    -- Replicas that have the account in memory read it again.
    update accounts set version = version + 1
    where account_id in (select account_id from erasure, rows_beside where erased > 0)
  ), erased_entries as (
    update entries set
      erased_hash = personal_hash(salt, fingerprint, response, reference, personal),
      salt = null, fingerprint = null, response = null, reference = null, personal = null
    where account_id in (select account_id from erasure, rows_beside where erased = 0)
      and account_id = of_account and seq > after_seq and seq <= after_seq + at_most and seq < of_seq
      and kind <> 24 and salt is not null
    returning 1
  )
  select case
      when erased > 0 then after_seq
      when (select count(*) from erased_entries) >= 0 then least(after_seq + at_most, of_seq)
    end
  into erased_to
  from erasure, rows_beside;
  return erased_to;
end
$$;
-- Its tables are those of its own schema, whoever calls it.
do $$
begin
  execute format(
    'alter function erase_account_data(text, bigint, bigint, int) set search_path = %I, pg_temp',
    current_schema());
end
$$;
revoke all on function erase_account_data(text, bigint, bigint, int) from public;
grant execute on function erase_account_data(text, bigint, bigint, int) to scrip_runtime;

grant select on history, history_moves, history_usages, running_reservations to scrip_runtime;

-- scrip archive deletes archived entries under this role, which cannot write any, and can change no balance.
grant select on accounts, statements, usage_positions, roll_forward_positions, reservations
  to scrip_archiver;
grant select, delete on entries to scrip_archiver;
grant select, insert, update (finished_at) on archive_files to scrip_archiver;
grant select, insert, update (seq, at, requests_seq) on archived_accounts to scrip_archiver;
grant select, insert, delete on archived_requests to scrip_archiver;
