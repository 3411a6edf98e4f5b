--- Falsifications that verify must find, by somebody with full access to the database.
--- Each block has the account and a description, then a part of the discrepancy that verify must
--- report, then the SQL. After the SQL the test recomputes the account's hash chain, as a forger would,
--- unless the block is marked "chain not recomputed". Names with a colon are conditions that
--- tampering.test.ts defines; :id is the account's id.

--- The hash chain.

-- prepaid, chain not recomputed: changes the credits of an entry
-- > its hash is not that of what it says
update entries set credits = credits + 1 where :charge;

-- prepaid, chain not recomputed: changes the moves of an entry
-- > its hash is not that of what it says
update entries set moves = '[]' where :charge;

-- prepaid, chain not recomputed: writes moves that are not a list
-- > cannot be read
update entries set moves = '{}' where :charge;

-- prepaid, chain not recomputed: changes the labels of an entry
-- > its hash is not that of what it says
update entries set labels = '{"team": "b"}' where :charge;

-- prepaid, chain not recomputed: changes the caller of an entry
-- > its hash is not that of what it says
update entries set caller = 'nobody' where :charge;

-- prepaid, chain not recomputed: changes the trace of an entry
-- > its hash is not that of what it says
update entries set trace_id = '' where :charge;

-- prepaid, chain not recomputed: moves an entry by a millisecond
-- > its hash is not that of what it says
update entries set at = at + interval '1 ms' where :newest;

-- prepaid, chain not recomputed: swaps the hashes of two entries
-- > entry 8: its hash is not that of what it says
update entries e set hash = other.hash from entries other
where e.:account and other.:account and e.seq in (8, 9) and other.seq = 17 - e.seq;

-- prepaid, chain not recomputed: changes the account’s last hash
-- > last_hash is not the hash
update accounts set last_hash = '\x00' where :account;

-- prepaid, chain not recomputed: deletes an entry in the middle
-- > comes right after entry
delete from entries where :charge;

-- prepaid, chain not recomputed: deletes the first entry
-- > entry 2: is the first
delete from entries where :account and seq = 1;

-- prepaid, chain not recomputed: deletes the last entry
-- > the newest entry is
delete from entries where :newest;

--- Sequence and time.

-- prepaid: moves an entry before the one before it
-- > is before
update entries set at = at - interval '1 day' where :newest;

-- prepaid: deletes the last entry and decrements the account’s seq
-- > committed is 2, the entries say 0
delete from entries where :newest;
update accounts set seq = seq - 1 where :account;

-- prepaid: inserts an entry after the last one
-- > is the RELEASE of a reservation that is RELEASED
create temp table added as select * from entries where :release;
update added set seq = (select seq + 1 from accounts where :account),
  at = (select last_at from accounts where :account);
insert into entries table added;
update accounts set seq = seq + 1 where :account;

-- prepaid: repeats a charge
-- > of Charge: carried out 2 times
create temp table added as select * from entries where :charge;
update added set seq = (select seq + 1 from accounts where :account),
  at = (select last_at from accounts where :account),
  moves = '[]', usages = '[]', credits = 0;
insert into entries table added;
update accounts set seq = seq + 1 where :account;

--- Moves, and what an entry says of them.

-- prepaid: changes the amount of a move
-- > the moves say 1
update entries set moves = jsonb_set(moves, '{0,3}', '1') where :charge;

-- prepaid: makes a charge cheaper
-- > remaining_after is
update entries set moves = jsonb_set(moves, '{0,3}', '1'), credits = 1 where :charge;

-- prepaid: uses a move that a charge may not have
-- > a CHARGE does not move available to reserved
update entries set moves = jsonb_set(moves, '{0,1}', '"reserved"') where :charge;

-- prepaid: moves to a bucket that does not exist
-- > cannot be read: there is no bucket pocket
update entries set moves = jsonb_set(moves, '{0,1}', '"pocket"') where :charge;

-- prepaid: makes a move negative
-- > moves -6 credits
update entries set moves = jsonb_set(moves, '{0,3}', '-6') where :charge;

-- prepaid: charges a grant that does not exist
-- > grant 99, which does not exist
update entries set moves = jsonb_set(moves, '{0,2}', '99') where :charge;

-- prepaid: charges more than a grant has
-- > takes 999 from available of grant 2
update entries set moves = jsonb_set(moves, '{0,3}', '999') where :charge;

-- prepaid: gives back more than was reserved
-- > takes 999 from reserved of grant 2
update entries set moves = jsonb_set(moves, '{0,3}', '999') where :release;

-- prepaid: grants another grant’s credits
-- > is about grant 1 and moves credits of grant 2
update entries set moves = jsonb_set(moves, '{0,2}', '2') where :account and seq = 1;

-- prepaid: makes a usage cheaper
-- > the usages say 1
update entries set usages = jsonb_set(usages, '{0,credits}', '1') where :charge;

-- prepaid: makes a usage’s unit dearer
-- > 1 times 7 credits of job.pages are not 6
update entries set usages = jsonb_set(usages, '{0,unit_credits}', '7') where :charge;

-- prepaid: changes remaining_after
-- > remaining_after is
update entries set remaining_after = remaining_after + 1 where :charge;

-- prepaid: changes reserved_after
-- > reserved_after is
update entries set reserved_after = reserved_after + 1 where :charge;

-- prepaid: changes overage_after
-- > overage_after is 1, the moves say 0
update entries set overage_after = 1 where :charge;

-- prepaid: changes the kind of a charge to RELEASE
-- > a RELEASE names a reservation
update entries set kind = 'RELEASE' where :charge;

-- prepaid: marks a charge as late
-- > a CHARGE is not late
update entries set late = true where :charge;

-- prepaid: removes the request id of a charge
-- > a CHARGE names a request
update entries set request_id = '' where :charge;

-- prepaid: removes the reservation id of a release
-- > a RELEASE names a reservation
update entries set reservation_id = null where :release;

-- prepaid: names a grant in a charge
-- > a CHARGE does not name a grant
update entries set grant_id = 1 where :charge;

--- Accounts.

-- prepaid: increases the account’s remaining
-- > remaining is
update accounts set remaining = remaining + 1 where :account;

-- prepaid: decreases the account’s reserved
-- > reserved is
update accounts set reserved = reserved - 1 where :account;

-- prepaid: changes the account’s seq
-- > seq is
update accounts set seq = seq + 1 where :account;

-- prepaid: changes the account’s grant count
-- > grant_count is 0, the entries say
update accounts set grant_count = 0 where :account;

-- prepaid: changes the account’s last_at
-- > last_at is
update accounts set last_at = last_at + interval '1 s' where :account;

-- prepaid: deletes the account
-- > has entries, but there is no such account
delete from accounts where :account;

-- postpaid: increases the account’s overage
-- > overage is
update accounts set overage = overage + 1 where :account;

-- postpaid: clears the account’s overage_reserved
-- > overage_reserved is 0, the moves say 8
update accounts set overage_reserved = 0 where :account;

-- postpaid: resets the overage in mid-month
-- > overage_after is 0
update entries set overage_after = 0 where :commit;

-- postpaid: refunds more overage than was used
-- > takes 999 from consumed of overage
update entries set moves = jsonb_set(moves, '{0,3}', '999') where :refund;

-- postpaid: charges a grant on overage
-- > moves credits overage to consumed of grant 1
update entries set moves = jsonb_set(moves, '{0,0}', '"overage"') where :charge;

--- Grants.

-- prepaid: decreases a grant’s remaining
-- > remaining is
update grants set remaining = remaining - 1 where :open;

-- prepaid: decreases a grant’s reserved
-- > reserved is
update grants set reserved = reserved - 1 where :account and reserved > 0;

-- prepaid: changes a grant’s amount
-- > the moves issued
update grants set amount = amount + 1 where :open;

-- prepaid: marks an open grant as SPENT
-- > it is SPENT
update grants set state = 'SPENT' where :open;

-- prepaid: marks an open grant as SCHEDULED
-- > its state SCHEDULED
update grants set state = 'SCHEDULED' where :open;

-- prepaid: marks an open grant as EXPIRED
-- > it is EXPIRED
update grants set state = 'EXPIRED' where :open;

-- prepaid: deletes a grant
-- > there is no grant
delete from grants where :open;

-- prepaid: inserts a grant
-- > grant 99: no entry made it
create temp table added as select * from grants where :open;
update added set grant_id = 99;
insert into grants table added;

-- prepaid: moves a spent grant’s expiry to before it was spent
-- > of grant 2, which has expired
update grants set expires_at = effective_at + interval '1 ms' where :account and grant_id = 2;

-- prepaid: removes an expired grant’s expiry
-- > expires credits of grant 2, which has not expired
update grants set expires_at = null where :account and grant_id = 2;

-- prepaid: moves a spent grant’s start to after it was spent
-- > grant 2, which is not effective yet
update grants set effective_at = created_at + interval '1 day' where :account and grant_id = 2;

-- prepaid: grants an allowance twice
-- > the allowance of 2031-01 was granted before
update grants
  set source = 'ALLOWANCE', source_reference = '2031-01'
  where :account and grant_id = 1;

-- prepaid: changes a purchased grant’s source to OPERATOR
-- > whose source is OPERATOR
update grants set source = 'OPERATOR' where :account and source = 'PURCHASE';

-- prepaid: changes a grant’s created_at
-- > made grant 1, which is of
update grants set created_at = created_at - interval '1 s' where :account and grant_id = 1;

--- Reservations.

-- prepaid: decreases what a reservation holds
-- > held is
update reservations set held = held - 1, returned = returned + 1 where :active;

-- prepaid: changes the grant that a reservation holds credits of
-- > holds 3 of grant 99, the entries say 0
update reservations set allocations = jsonb_set(allocations, '{0,0}', '99') where :active;

-- prepaid: decreases a reservation’s committed
-- > committed is
update reservations set committed = committed - 1, returned = returned + 1 where :ended;

-- prepaid: increases a reservation’s returned
-- > returned is
update reservations set credits = credits + 1, returned = returned + 1 where :ended;

-- prepaid: increases a reservation’s credits
-- > credits is
update reservations set credits = credits + 1, returned = returned + 1 where :ended;

-- prepaid: marks a committed reservation as RELEASED
-- > state is RELEASED, the entries say COMMITTED
update reservations set state = 'RELEASED' where :ended;

-- prepaid: marks an expired reservation as ACTIVE
-- > state is ACTIVE, the entries say EXPIRED
update reservations set state = 'ACTIVE', ended_at = null where :expired;

-- prepaid: marks a committed reservation as late
-- > late is true
update reservations set late = true where :ended;

-- prepaid: changes a reservation’s ended_at
-- > ended_at is
update reservations set ended_at = ended_at + interval '1 s' where :ended;

-- prepaid: changes a reservation’s created_at
-- > created_at is
update reservations set created_at = created_at - interval '1 s' where :ended;

-- prepaid: changes the labels of a reservation
-- > are not those of its reservation
update reservations set labels = '{"team": "b"}' where :ended;

-- prepaid: changes a reservation’s policy from DRAW to REJECT
-- > a commit drew more than it held
update reservations
  set over_commit_policy = 'REJECT', credits = committed
  where :account and over_commit_policy = 'DRAW';

-- prepaid: deletes a reservation
-- > there is no such reservation
delete from reservations where :ended;

-- prepaid: inserts a reservation
-- > no entry reserved it
create temp table added as select * from reservations where :ended;
update added set reservation_id = gen_random_uuid();
insert into reservations table added;

-- prepaid: changes the reservation of a commit
-- > of a reservation that no entry reserved
update entries
  set reservation_id = (select reservation_id from reservations
  where :active) where :commit;

--- Refunds, purchases, requests.

-- prepaid: deletes the row that counts refunds
-- > no row counts them
delete from refunded where :account;

-- prepaid: decreases the refunded credits
-- > refunded is
update refunded set refunded = refunded - 1 where :account and refunded > 1;

-- prepaid: increases the committed credits of a refund’s row
-- > committed is
update refunded set committed = committed + 1 where :account;

-- prepaid: inserts a row for a refund that was not made
-- > refunded is 1, the entries say 0
insert into refunded select account_id, seq, credits, 1 from entries where :commit;

-- prepaid: makes a refund refer to a GRANT entry
-- > refunds of entry 1: it is GRANT
update entries set refunded_seq = 1 where :refund;

-- prepaid: makes two refunds refer to one charge
-- > it took 6
update entries
  set refunded_seq = (select refunded_seq from entries
  where :refund) where :account and kind = 'REFUND';

-- prepaid: deletes a purchase
-- > there is no purchase of grant
delete from purchases where :account;

-- prepaid: changes the credits of a purchase
-- > credits is 101, entry 3 says 100
update purchases set credits = credits + 1 where :account;

-- prepaid: changes the payment reference of a purchase
-- > payment_reference is order-9
update purchases set payment_reference = 'order-9' where :account;

-- prepaid: changes the paid_at of a purchase
-- > paid_at is
update purchases set paid_at = paid_at + interval '1 s' where :account;

-- prepaid: inserts a purchase without an entry
-- > it is paid, and no entry granted its credits
create temp table added as select * from purchases where :account;
update added set purchase_id = gen_random_uuid(), payment_reference = 'order-2',
  payment_reference_key = 'order-2', grant_id = 1;
insert into purchases table added;

-- prepaid: inserts a second purchase of one grant
-- > more than one purchase or PURCHASE made it
create temp table added as select * from purchases where :account;
update added set purchase_id = gen_random_uuid(), payment_reference = 'order-2',
  payment_reference_key = 'order-2';
insert into purchases table added;

-- prepaid: marks a paid purchase as PENDING
-- > there is no purchase of grant
update purchases
  set state = 'PENDING', grant_id = null, paid_at = null, next_check_at = created_at
  where :account and state = 'PAID';

-- prepaid: removes a request
-- > of Reserve
delete from requests where :account and method = 'Reserve';

-- prepaid: removes the request that opened the account
-- > of OpenAccount
delete from requests where :account and method = 'OpenAccount';

-- prepaid: changes the request id of an entry
-- > of Charge: it has no entry
update entries set request_id = 'another' where :charge;

-- prepaid: gives two charges one request id
-- > of Charge: carried out 2 times
update entries
  set request_id = (select request_id from entries
  where :charge) where :account and kind = 'CHARGE';

--- Plans.

-- prepaid: changes the account’s plan without an entry
-- > plan_id is postpaid, the entries say prepaid
update accounts set plan_id = 'postpaid' where :account;

-- prepaid: changes the plan of a charge
-- > is priced by plan bare, the account lived under prepaid
update entries set plan_id = 'bare' where :charge;

-- prepaid: removes the plan of a charge
-- > names no plan, the account lived under prepaid
update entries set plan_id = null where :charge;

-- prepaid: changes the previous plan of a plan change
-- > moves the account from plan bare, it lived under prepaid
update entries set previous_plan_id = 'bare' where :account and kind = 'PLAN_CHANGE' and plan_id = 'postpaid';

-- prepaid: changes a plan change to the account’s own plan
-- > moves the account from plan prepaid to itself
update entries set plan_id = 'prepaid' where :account and kind = 'PLAN_CHANGE';

-- prepaid: changes a charge to a plan change
-- > is priced by plan prepaid, the account lived under postpaid
update entries set kind = 'PLAN_CHANGE', moves = '[]', credits = 0, plan_id = 'postpaid',
  previous_plan_id = 'prepaid', rate_card_version = null where :charge;

-- prepaid: sets the plan of a purchase’s entry
-- > names plan bare and no version of its rate card
update entries set plan_id = 'bare' where :account and kind = 'PURCHASE';

-- prepaid: prices a charge on a rate card that does not exist
-- > is priced on rate card 9 of plan prepaid, which does not exist
update entries set rate_card_version = 9 where :charge;

-- prepaid: changes the plan of a reservation
-- > its reference, labels or rate card are not those of its reservation
update reservations set plan_id = 'bare' where :active;

-- prepaid: changes the plan of a refund
-- > is of another rate card than what it refunds
update entries set plan_id = 'bare' where :refund;

-- prepaid: removes the request of a plan change
-- > of MoveAccount
delete from requests where :account and method = 'MoveAccount';

--- Limited grants, raises, allowances that are carried over, and refunds that make new grants.

-- waterfall: limits a grant to an operation it was not spent on
-- > takes more of limited grants than the usages of their operations cost
update grants set operations = '["another"]' where :account and source = 'OPERATOR';

-- waterfall: limits a grant that paid for no operation
-- > which is limited, for no operation
update grants set operations = '["job.pages"]' where :account and grant_id = 1;

-- waterfall: changes the kind of a raise to RESERVE
-- > reserves a reservation that was reserved before
update entries set kind = 'RESERVE' where :account and kind = 'RAISE';

-- waterfall: removes the request of a raise
-- > there is no request
delete from requests where :account and method = 'RaiseReservation';

-- waterfall: raises the priority of a grant made by a refund
-- > is not the 4 credits of grant 2 again
update grants set priority = 1 where :account and source = 'REFUND';

-- waterfall: extends the expiry of a grant made by a refund
-- > is not the 4 credits of grant 2 again
update grants set expires_at = expires_at + interval '1 day' where :account and source = 'REFUND';

-- waterfall: changes the source of a grant made by a refund
-- > were not granted again
update grants set source = 'OPERATOR' where :account and source = 'REFUND';

-- waterfall: changes the period of an allowance
-- > it is the allowance of 2031-02
update grants set source_reference = '2031-02' where :account and grant_id = 1;

-- waterfall: changes the source of an allowance that was carried over
-- > which has not expired
update grants set source = 'OPERATOR' where :account and source = 'ALLOWANCE';

--- Statements: of February, and of March, when 20 credits of February’s overage were refunded.

-- postpaid: increases the total of a statement
-- > its total in USD is
update statements set total = total + 0.01 where :account and month = '2031-02';

-- postpaid: changes the currency of a statement
-- > its total is in EUR, its rates in USD
update statements set currency = 'EUR' where :account and month = '2031-02';

-- postpaid: removes a statement’s overage, lines and total
-- > overage is 0, the entries say
update statements set overage = 0, total = 0, content = content || '{"lines": []}'
where :account and month = '2031-02';

-- postpaid: changes the price of a line
-- > the rates say
update statements set total = 0, content = content || jsonb_build_object('lines',
  jsonb_build_array(jsonb_build_object('tier', 1, 'quantity', overage::text, 'unit_price', '0.000',
    'amount', '0.00')))
where :account and month = '2031-02';

-- postpaid: changes the credits of an operation in a statement
-- > usage of no operation is
update statements set content = jsonb_set(content, '{usage,0,credits}', '"1"')
where :account and month = '2031-02';

-- postpaid: removes the usage of a statement
-- > usage of no operation is undefined
update statements set content = content || '{"usage": []}' where :account and month = '2031-02';

-- postpaid: changes the category of the credits used
-- > PAID credits used are 10, the entries say 0
update statements set content = content || '{"credits_used": {"PAID": "10"}}'
where :account and month = '2031-02';

-- postpaid: decreases the last_seq of a statement
-- > last_seq is
update statements set last_seq = last_seq - 1 where :account and month = '2031-02';

-- postpaid: increases the after_seq of a statement
-- > after_seq is 1
update statements set after_seq = 1 where :account and month = '2031-02';

-- postpaid: moves a statement’s closed_at before the end of its month
-- > its month ends at
update statements set closed_at = '2031-02-27Z' where :account and month = '2031-02';

-- postpaid: empties the content of a statement
-- > cannot be read
update statements set content = '{}' where :account and month = '2031-02';

-- postpaid: changes the adjustment of a statement
-- > its adjustment of 2031-02 is
update statements set total = total - 1, content = jsonb_set(content, '{adjustments}',
  '[{"month": "2031-02", "credits": "1", "amount": {"currency": "USD", "amount": "-1.00"}}]')
where :account and month = '2031-03';

-- postpaid: inserts a statement of the current month
-- > last_at is
insert into statements select account_id, '2031-04', plan_id, '2031-05-01Z', last_seq, last_seq, 0,
  currency, 0, content from statements where :account and month = '2031-03';

-- postpaid: removes a statement
-- > there is no statement 2031-03, and it has overage or adjustments
delete from statements where :account and month = '2031-03';

-- postpaid: removes all statements
-- > there is no statement 2031-02, and an event says that it was closed
delete from statements where :account;

--- Payments that a provider took, and credits that were taken back for them.

-- buyer: gives two purchases one payment
-- > it paid for 2 purchases
alter table purchases drop constraint purchases_payment_intent;
update purchases set payment_intent_id = 'pi_twice'
  where :account and state = 'PAID' and purchase_id in (
    select purchase_id from purchases where :account and state = 'PAID' limit 2);

-- buyer: decreases the credits clawed back
-- > credits_clawed_back is
update purchases set credits_clawed_back = credits_clawed_back - 1, credits_unrecovered = credits_unrecovered + 1
  where :account and credits_clawed_back > 0;

-- buyer: marks a won dispute as LOST
-- > its money is gone, and 0 of its 100 credits were asked back
update purchases set dispute_state = 'LOST' where :account and dispute_state = 'WON';

-- buyer: clears the amount refunded of a purchase
-- > credits were asked back, and no money was
update purchases set amount_refunded = 0 where :account and amount_refunded > 0;

-- buyer: deletes a claw-back’s entry
-- > the moves say
delete from entries where :account and kind = 'CLAW_BACK' and seq = (
  select min(seq) from entries where :account and kind = 'CLAW_BACK');

-- buyer: changes a claw-back to a reinstatement
-- > gives 100 again of grant
update entries set kind = 'REINSTATE', moves = jsonb_set(jsonb_set(moves, '{0,0}', '"issued"'), '{0,1}', '"available"')
  where :account and kind = 'CLAW_BACK' and credits = 100;

-- buyer: removes the request of a purchase
-- > which made a purchase
delete from requests where :account and method = 'Purchase';

-- buyer: deletes a pending purchase
-- > it made 0 purchases
delete from purchases where :account and state = 'PENDING';

-- buyer: changes the caller of a purchase
-- > caller is somebody
update purchases set caller = 'somebody' where :account and state = 'PAID';

-- buyer: makes a payment that nobody accepted look like its price
-- > it is MISMATCHED (undecided), and its payment is its price
update purchases set amount_paid = amount, currency_paid = currency where :account and state = 'MISMATCHED';

-- buyer: removes the decision about a payment that was accepted
-- > its payment differs from its price, and it is PAID
alter table purchases drop constraint if exists purchases_decision_check;
update purchases set decision = null, decided_by = null, decision_reason = null, decided_at = null
  where :account and decision = 'ACCEPTED';

-- buyer: decreases what was paid
-- > its payment differs from its price, and it is PAID
alter table purchases drop constraint if exists purchases_decision_check;
update purchases set amount_paid = amount_paid - 1 where :account and state = 'PAID' and decision is null;

-- buyer: changes who accepted a payment
-- > caller is somebody
update purchases set decided_by = 'somebody' where :account and decision = 'ACCEPTED';

-- buyer: removes the request that accepted a payment
-- > of ResolvePurchase
delete from requests where :account and method = 'ResolvePurchase';

--- Events.

-- prepaid: deletes the first event
-- > event 2: is the first
delete from events where :account and seq = 1;

-- prepaid: deletes an event in the middle
-- > event 4: comes right after event 2
delete from events where :account and seq = 3;

-- prepaid: increases the account’s event_count
-- > event_count is
update accounts set event_count = event_count + 1 where :account;

-- prepaid: changes balance.low to balance.recovered
-- > says balance.recovered of level 500 a second time
update events set type = 'balance.recovered' where :account and type = 'balance.low';

-- prepaid: changes the usable credits of an event
-- > its data says otherwise
update events set data = jsonb_set(data, '{usable}', '"9999"')
where :account and type = 'balance.low';

-- prepaid: changes the level of an event
-- > the events say
update events set data = jsonb_set(data, '{level}', '"7"')
where :account and type = 'balance.low';

-- prepaid: takes a level from the account’s low_levels, or adds one
-- > low_levels are
update accounts set low_levels = case when low_levels = '[]' then '["250"]' else '[]' end::jsonb
where :account;

-- topped: increases the packs of a top-up
-- > top-ups: count of
update purchases set quantity = quantity + 1 where :account and state = 'PAID';

-- waterfall: says that a grant is stranded
-- > it is stranded, and no event said so
update grants set stranded = true where :account and grant_id = 1;

-- prepaid: swaps the positions of two events
-- > is not after
update events set position = 3 - position where :account and seq in (1, 2);

-- prepaid: gives two events one position
-- > position 2 follows 2
update events set position = 2 where :account and seq = 1;

--- Top-ups.

-- topped: clears the account’s top-up in progress
-- > top-ups: the one in progress is none, the purchases say
update accounts set top_ups = jsonb_set(top_ups, '{purchase_id}', 'null') where :account;

-- topped: deletes the purchase of the top-up in progress
-- > the purchases say none
delete from purchases where :account and state = 'PENDING';

-- topped: resets the count of top-ups
-- > top-ups: count of 2031-06 is 0, the purchases say 2
update accounts set top_ups = jsonb_set(top_ups, '{count}', '0') where :account;

-- topped: changes the start of the latest top-up
-- > top-ups: started_at is
update accounts set top_ups = jsonb_set(top_ups, '{started_at}', '1') where :account;

-- topped: marks a pending top-up as FAILED
-- > top-ups: count of
update purchases set state = 'FAILED', next_check_at = null where :account and state = 'PENDING';
