--- Falsifications that verify must find, by somebody with full access to the database.
--- Each block has the account and a description, then a part of the discrepancy that verify must
--- report, then the SQL. After the SQL the test recomputes the account's hash chain, as a forger would,
--- unless the block is marked "chain not recomputed". Names with a colon are conditions that
--- tampering.test.ts defines; :id is the account's id. It also defines two functions: code('CHARGE') is the
--- number of a kind or method, and altered(content, path, value) is jsonb_set for a column of type json.

--- The hash chain.

-- prepaid, chain not recomputed: changes the credits of an entry
-- > its hash is not that of what it says
update entries set credits = credits + 1 where :charge;

-- prepaid, chain not recomputed: changes the moves of an entry
-- > its hash is not that of what it says
update entries set content = altered(content, '{m}', '[]') where :charge;

-- prepaid, chain not recomputed: writes moves that are not a list
-- > cannot be read
update entries set content = '{"m": {}}' where :charge;

-- prepaid, chain not recomputed: changes the labels of an entry
-- > its hash is not that of what it says
update entries set personal = '{"labels":{"team":"b"}}' where :charge;

-- prepaid, chain not recomputed: changes the caller of an entry
-- > its hash is not that of what it says
update entries set caller = 'nobody' where :charge;

-- prepaid, chain not recomputed: changes on whose behalf credits were refunded
-- > its hash is not that of what it says
update entries set personal = altered(personal, '{on_behalf_of}', '"user:bob"') where :refund;

-- prepaid, chain not recomputed: changes the reason of a refund
-- > its hash is not that of what it says
update entries set personal = altered(personal, '{reason}', '"none"') where :refund;

-- prepaid, chain not recomputed: says that a certificate carried the caller's token
-- > its hash is not that of what it says
update entries set content = altered(content, '{c}', '"spiffe://example.org/gateway"') where :charge;

-- prepaid, chain not recomputed: changes the trace of an entry
-- > its hash is not that of what it says
update entries set trace_id = gen_random_uuid() where :charge;

-- prepaid, chain not recomputed: changes the method of an entry
-- > its hash is not that of what it says
update entries set method = code('Commit') where :charge;

-- prepaid, chain not recomputed: removes the method of an entry
-- > its hash is not that of what it says
update entries set method = null, fingerprint = null, response = null where :charge;

-- prepaid, chain not recomputed: alters a response
-- > its hash is not that of what it says
update entries set response = response || '\x00' where :charge;

-- prepaid, chain not recomputed: alters a fingerprint
-- > its hash is not that of what it says
update entries set fingerprint = set_byte(fingerprint, 0, 255 - get_byte(fingerprint, 0)) where :charge;

-- prepaid, chain not recomputed: changes the version of the plan of an entry
-- > has version 2 of plan prepaid, which does not exist
update entries set plan_version = 2 where :charge;

-- prepaid, chain not recomputed: changes the expiry of a reservation in its entry
-- > its hash is not that of what it says
update entries set content = altered(content, '{x}', '4102444800000') where :account and kind = code('RESERVE');

-- prepaid, chain not recomputed: changes the caller of an extension
-- > its hash is not that of what it says
update entries set caller = 'nobody' where :account and kind = code('EXTEND');

-- bare, chain not recomputed: changes the details of an update of the account
-- > its hash is not that of what it says
update entries set content = altered(content, '{d,pause_floor}', '"4"')
where :account and kind = code('UPDATE_ACCOUNT') and seq = 2;

-- bare, chain not recomputed: changes the name that an update gave the account
-- > its hash is not that of what it says
update entries set personal = altered(personal, '{display_name}', '"Bob"') where :account and seq = 2;

-- bare, chain not recomputed: changes who withdrew a pack
-- > its hash is not that of what it says
update entries set caller = 'nobody' where :account and kind = code('WITHDRAW_PACK');

-- buyer, chain not recomputed: changes the purchase of an entry
-- > its hash is not that of what it says
update entries set purchase_id = gen_random_uuid() where :account and kind = code('CHECKOUT');

-- buyer, chain not recomputed: changes the reason of a rejection
-- > its hash is not that of what it says
update entries set personal = altered(personal, '{reason}', '"none"') where :account and kind = code('REJECT_PURCHASE');

-- prepaid, chain not recomputed: changes the reference of an entry
-- > its hash is not that of what it says
update entries set reference = 'another' where :account and kind = code('PURCHASE');

-- prepaid, chain not recomputed: changes the salt of an entry
-- > its hash is not that of what it says
update entries set salt = set_byte(salt, 0, 255 - get_byte(salt, 0)) where :charge;

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

--- Who and why.

-- prepaid: removes the reason of a refund
-- > a Refund does not say why
update entries set personal = (personal::jsonb - 'reason')::json where :refund;

-- prepaid: empties the reason of a move to another plan
-- > a MoveAccount does not say why
update entries set personal = altered(personal, '{reason}', '""') where :account and method = code('MoveAccount');

-- prepaid: gives a charge a reason
-- > a CHARGE does not state a reason
update entries set personal = altered(personal, '{reason}', '"a gift"') where :charge;

-- prepaid: gives welcome credits a reason
-- > entry 2: states a reason, and no request gave one
update entries set personal = '{"reason": "a gift"}' where :account and seq = 2;

-- prepaid: lets the service act on behalf of somebody
-- > acts on behalf of user:ann, and no call wrote it
update entries set personal = '{"on_behalf_of": "user:ann"}' where :account and kind = code('EXPIRE');

-- prepaid: lets the service come with a certificate
-- > came with certificate cn:gateway, and no call wrote it
update entries set content = altered(content, '{c}', '"cn:gateway"') where :account and kind = code('EXPIRE');

-- buyer: says that credits were bought on behalf of somebody when the payment arrived
-- > acts on behalf of user:ann, and no call wrote it
update entries set personal = '{"on_behalf_of": "user:ann"}' where :account and kind = code('PURCHASE') and method is null;

-- waterfall: changes on whose behalf a refund granted credits again
-- > has no method, and is not of the request of the entry before it
update entries set personal = altered(personal, '{on_behalf_of}', '"user:bob"')
where :account and kind = code('GRANT') and method is null and personal ->> 'on_behalf_of' is not null;

-- prepaid: counts more of a caller than it moved
-- > caller_days is
update accounts set caller_days = jsonb_set(caller_days, '{credits,test}', '1000') where :account;

-- prepaid: counts a caller that moved nothing
-- > caller_days is 1 of nobody, which moved 0
update accounts set caller_days = jsonb_set(caller_days, '{credits,nobody}', '1') where :account;

-- prepaid: counts less than nothing of a caller
-- > caller_days is -1 of test
update accounts set caller_days = jsonb_set(caller_days, '{credits,test}', '-1') where :account;

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
drop index if exists entries_request;
create temp table added as select * from entries where :release;
update added set seq = (select seq + 1 from accounts where :account),
  at = (select last_at from accounts where :account);
insert into entries table added;
update accounts set seq = seq + 1 where :account;

-- prepaid: repeats a charge
-- > of Charge: carried out 2 times
drop index if exists entries_request;
create temp table added as select * from entries where :charge;
update added set seq = (select seq + 1 from accounts where :account),
  at = (select last_at from accounts where :account),
  content = '{}', credits = 0;
insert into entries table added;
update accounts set seq = seq + 1 where :account;

--- Moves, and what an entry says of them.

-- prepaid: changes the amount of a move
-- > the moves say 1
update entries set content = altered(content, '{m,0,2}', '1') where :charge;

-- prepaid: makes a charge cheaper
-- > remaining_after is
update entries set content = altered(content, '{m,0,2}', '1'), credits = 1 where :charge;

-- prepaid: uses a move that a charge may not have
-- > a CHARGE does not move available to reserved
update entries set content = altered(content, '{m,0,0}', '"ar"') where :charge;

-- prepaid, chain not recomputed: moves to a bucket that does not exist
-- > cannot be read: there is no bucket p
update entries set content = altered(content, '{m,0,0}', '"ap"') where :charge;

-- prepaid: makes a move negative
-- > moves -6 credits
update entries set content = altered(content, '{m,0,2}', '-6') where :charge;

-- prepaid: charges a grant that does not exist
-- > grant 99, which does not exist
update entries set content = altered(content, '{m,0,1}', '99') where :charge;

-- prepaid: charges more than a grant has
-- > takes 999 from available of grant 2
update entries set content = altered(content, '{m,0,2}', '999') where :charge;

-- prepaid: gives back more than was reserved
-- > takes 999 from reserved of grant 2
update entries set content = altered(content, '{m,0,2}', '999') where :release;

-- prepaid: grants another grant’s credits
-- > is about grant 1 and moves credits of grant 2
update entries set content = altered(content, '{m,0,1}', '2') where :account and seq = 2;

-- prepaid: makes a usage cheaper
-- > the usages say 1
update entries set content = altered(content, '{u,0,2}', '1') where :charge;

-- prepaid: makes a usage’s unit dearer
-- > the usages say 7
update entries set content = altered(content, '{u,0,2}', '7') where :charge;

-- prepaid: says that a usage was done less than not at all
-- > there are no -1 times -6 credits of job.pages
update entries set content = altered(altered(content, '{u,0,1}', '-1'), '{u,0,2}', '-6') where :charge;

-- prepaid: changes remaining_after
-- > remaining_after is
update entries set remaining_after = remaining_after + 1 where :charge;

-- prepaid: changes reserved_after
-- > reserved_after is
update entries set reserved_after = reserved_after + 1 where :charge;

-- prepaid: says of a charge that the account owed something after it
-- > owed_after is 3, the moves say 0
update entries set content = altered(content, '{w}', '3') where :charge;

-- prepaid: has the account owe something
-- > owed is 1, the moves say 0
update accounts set owed = 1 where :account;

-- prepaid: has a commit owe what it took of a grant
-- > owes what nothing paid, and its policy is
update entries set content = altered(content, '{m,0}', '["wc", 0, 3]') where :commit;

-- prepaid: says that a charge has paid what was owed
-- > a CHARGE does not move available to owed
update entries set content = altered(content, '{m,0,0}', '"aw"') where :charge;

-- prepaid: changes overage_after
-- > overage_after is 1, the moves say 0
update entries set overage_after = 1 where :charge;

-- prepaid: changes the kind of a charge to RELEASE
-- > a RELEASE names a reservation
update entries set kind = code('RELEASE') where :charge;

-- prepaid: marks a charge as late
-- > a CHARGE is not late
update entries set content = altered(content, '{l}', 'true') where :charge;

-- prepaid: marks a charge as not final
-- > a CHARGE is not final
update entries set content = altered(content, '{f}', 'false') where :charge;

-- prepaid: gives a charge an over-commit policy
-- > a CHARGE does not name a policy
update entries set content = altered(content, '{p}', '"CAP"') where :charge;

-- prepaid: gives a charge the name of a person
-- > a CHARGE does not state a display_name
update entries set personal = altered(personal, '{display_name}', '"Ann"') where :charge;

-- prepaid: says that a charge moved the account
-- > a CHARGE does not name a plan moved from
update entries set previous_plan_id = 'bare' where :charge;

-- prepaid: removes the request id of a charge
-- > a CHARGE names a request
update entries set request_id = null, method = null, fingerprint = null, response = null where :charge;

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

-- prepaid: increases the account’s granted
-- > granted is
update accounts set granted = granted + 1 where :account;

-- prepaid: decreases the account’s granted
-- > granted is
update accounts set granted = granted - 1 where :account;

-- prepaid: increases the account’s scheduled
-- > scheduled is
update accounts set scheduled = scheduled + 1 where :account;

-- prepaid: limits an open grant of an account that says it has no such grant
-- > has_limited_grants is false
update grants set operations = '["job.pages"]' where :open;
update accounts set has_limited_grants = false where :account;

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
update entries set content = altered(content, '{m,0,2}', '999') where :refund;

-- postpaid: charges a grant on overage
-- > moves credits overage to consumed of grant 1
update entries set content = altered(content, '{m,0,0}', '"oc"') where :charge;

--- Grants.

-- prepaid: decreases a grant’s remaining
-- > remaining is
update grants set remaining = remaining - 1 where :open;

-- prepaid: decreases a grant’s reserved
-- > , the moves say
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
-- > grant 2: expires_at is 2031-01-01T00:00:00.001Z, entry 3 says
update grants set expires_at = effective_at + interval '1 ms' where :account and grant_id = 2;

-- prepaid: removes an expired grant’s expiry
-- > grant 2: expires_at is never, entry 3 says
update grants set expires_at = null where :account and grant_id = 2;

-- prepaid: moves a spent grant’s start to after it was spent
-- > grant 2, which is not effective yet
update grants set effective_at = created_at + interval '1 day' where :account and grant_id = 2;

-- prepaid: has the allowances begin before all time
-- > effective_at is -Infinity
update grants set effective_at = '-infinity' where account_id = :id and source = 'ALLOWANCE';

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

-- prepaid: changes who made a reservation
-- > caller is nobody, the entries say test
update reservations set caller = 'nobody' where :active;

-- prepaid: decreases what a reservation holds
-- > holds 2 of grant 1, the entries say 3
update reservations set allocations = altered(allocations, '{0,1}', '2') where :active;

-- prepaid: changes the grant that a reservation holds credits of
-- > holds 3 of grant 99, the entries say 0
update reservations set allocations = altered(allocations, '{0,0}', '99') where :active;

-- prepaid: says twice what a reservation holds
-- > holds 6 of grant 1, the entries say 3
update reservations set allocations = (allocations::jsonb || allocations::jsonb)::json where :active;

-- prepaid: writes allocations that are not a list
-- > its row cannot be read
update reservations set allocations = '{}' where :active;

-- prepaid: decreases a reservation’s committed
-- > committed is 1, the entries say 2
update reservations set committed = committed - 1, returned = returned + 1 where :partly;

-- prepaid: increases a reservation’s returned
-- > returned is 1, the entries say 0
update reservations set credits = credits + 1, returned = returned + 1 where :partly;

-- prepaid: increases a reservation’s credits
-- > credits is 9, the entries say 8
update reservations set credits = credits + 1 where :partly;

-- prepaid: marks an expired reservation as ACTIVE
-- > state is ACTIVE, the entries say EXPIRED
update reservations set state = 1 where :expired;

-- prepaid: marks a running reservation as EXPIRED
-- > state is EXPIRED, the entries say ACTIVE
update reservations set state = 4 where :active;

-- prepaid: marks a running reservation as late
-- > late is true
update reservations set late = true where :active;

-- prepaid: changes a reservation’s expires_at
-- > expires_at is
update reservations set expires_at = expires_at + interval '1 s' where :active;

-- prepaid: changes a reservation’s created_at
-- > created_at is
update reservations set created_at = created_at - interval '1 s' where :active;

-- prepaid: changes the entry that made a reservation
-- > entry_seq is 1
update reservations set entry_seq = 1 where :active;

-- prepaid: changes the labels of a reservation
-- > are not those of its reservation
update reservations set labels = '{"team": "b"}' where :active;

-- prepaid: changes the reference of a reservation
-- > are not those of its reservation
update reservations set reference = 'another' where :active;

-- prepaid: changes a reservation’s policy
-- > over_commit_policy is DRAW, the entries say REJECT
update reservations set over_commit_policy = 3 where :active;

-- prepaid: removes what an expired reservation gave back
-- > gave back 0 of grant
update reservations set expired_allocations = null where :expired and expired_allocations is not null;

-- prepaid: changes the policy of a reservation from DRAW to REJECT
-- > commits more than the reservation held, and its policy is REJECT
update entries set content = (content::jsonb - 'p')::json where :account and content ->> 'p' = 'DRAW';

-- prepaid, chain not recomputed: changes the policy of a reservation to one that does not exist
-- > there is no over-commit policy GIVE
update entries set content = altered(content, '{p}', '"GIVE"') where :account and content ->> 'p' = 'DRAW';

-- prepaid: deletes a running reservation
-- > the entries say that it is ACTIVE, and it has no row
delete from reservations where :active;

-- prepaid: deletes an expired reservation
-- > the entries say that it is EXPIRED, and it has no row
delete from reservations where :expired;

-- prepaid: leaves the row of a reservation that was released
-- > the entries say that it is RELEASED, and it has a row
create temp table added as select * from reservations where :active;
update added set reservation_id = (select reservation_id from entries where :release);
insert into reservations table added;

-- prepaid: leaves the row of a reservation that was committed
-- > the entries say that it is COMMITTED, and it has a row
create temp table added as select * from reservations where :active;
update added set reservation_id = (select reservation_id from entries where :commit);
insert into reservations table added;

-- prepaid: inserts a reservation
-- > no entry reserved it
create temp table added as select * from reservations where :active;
update added set reservation_id = gen_random_uuid();
insert into reservations table added;

-- prepaid: changes the reservation of a commit
-- > of a reservation that no entry reserved
update entries
  set reservation_id = (select reservation_id from reservations
  where :active) where :commit;

-- prepaid: makes a running reservation expire later, in its first entry
-- > expires_at is
update entries set content = altered(content, '{x}', to_jsonb((content ->> 'x')::bigint + 1))
where :account and kind = code('RESERVE') and reservation_id = (
  select reservation_id from reservations where :partly);

-- prepaid: makes an expired reservation expire later, in its first entry
-- > is before the expiry at
update entries set content = altered(content, '{x}', to_jsonb((content ->> 'x')::bigint + 86400000))
where :account and kind = code('RESERVE') and reservation_id = (
  select reservation_id from reservations where :expired);

-- prepaid: makes a reservation expire before it was committed
-- > is the COMMIT of a reservation that expired at
update entries set content = altered(content, '{x}', '0')
where :account and kind = code('RESERVE') and reservation_id = (select reservation_id from entries where :commit);

-- prepaid: makes an extension shorter than what it extends
-- > extends a reservation that expires at
update entries set content = altered(content, '{x}', '0') where :account and kind = code('EXTEND');

-- prepaid: removes the expiry of a reservation
-- > a RESERVE names a expiry
update entries set content = (content::jsonb - 'x')::json where :account and kind = code('RESERVE');

-- prepaid: marks a commit that ended its reservation as not final
-- > gives credits back, and more commits may follow
update entries set content = altered(content, '{f}', 'false') where :account and kind = code('COMMIT')
  and content -> 'm' -> 1 ->> 0 = 'ra' and content -> 'f' is null;

-- prepaid: marks a commit as final after which another followed
-- > ends a reservation that still holds
update entries set content = (content::jsonb - 'f')::json where :account and content ->> 'f' = 'false';

-- prepaid: says that a commit asked for less than it was charged
-- > did not ask for 0
update entries set content = altered(content, '{a}', '0') where :commit;

-- prepaid: charges a late commit more than was given back
-- > commits more than was given back, and its policy is REJECT
update entries set content = altered(content, '{m,0,2}', '9'), credits = 9
where :account and content ->> 'l' = 'true';

-- prepaid: releases nothing of a reservation
-- > ends a reservation that still holds 6
update entries set content = '{}', credits = 0 where :release;

--- Refunds and purchases.

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
-- > refunds of entry 2: it is GRANT
update entries set refunded_seq = 2 where :refund;

-- prepaid: makes two refunds refer to one charge
-- > it took 6
update entries
  set refunded_seq = (select refunded_seq from entries
  where :refund) where :account and kind = code('REFUND');

-- prepaid: deletes a purchase
-- > there is no purchase
delete from purchases where :account;

-- prepaid: changes the credits of a purchase
-- > credits is 101, entry 4 says 100
update purchases set credits = credits + 1 where :account;

-- prepaid: changes the payment reference of a purchase
-- > payment_reference is order-9
update purchases set payment_reference = 'order-9' where :account;

-- prepaid: changes the paid_at of a purchase
-- > paid_at is
update purchases set paid_at = paid_at + interval '1 s' where :account;

-- prepaid: inserts a purchase without an entry
-- > it is PAID and of method REFERENCE, and has 0 entries of PURCHASE
create temp table added as select * from purchases where :account;
update added set purchase_id = gen_random_uuid(), payment_reference = 'order-2',
  payment_reference_key = 'order-2', grant_id = 1;
insert into purchases table added;

-- prepaid: inserts a second purchase of one grant
-- > it is PAID and of method REFERENCE, and has 0 entries of PURCHASE
create temp table added as select * from purchases where :account;
update added set purchase_id = gen_random_uuid(), payment_reference = 'order-2',
  payment_reference_key = 'order-2';
insert into purchases table added;

-- prepaid: changes the purchase that a grant names
-- > purchase_id is
update grants set source_reference = 'another' where :account and source = 'PURCHASE';

-- buyer: changes when a pending purchase was made
-- > created_at is
update purchases set created_at = created_at - interval '1 s' where :account and state = 'PENDING';

-- prepaid: marks a paid purchase as PENDING
-- > it is PENDING and of method REFERENCE, and has 1 entries of PURCHASE
update purchases
  set state = 'PENDING', grant_id = null, paid_at = null, next_check_at = created_at
  where :account and state = 'PAID';

-- prepaid: changes the purchase that an entry names
-- > there is no purchase
update entries set purchase_id = gen_random_uuid() where :account and kind = code('PURCHASE');

-- prepaid: removes the purchase that an entry names
-- > a PURCHASE names a purchase
update entries set purchase_id = null where :account and kind = code('PURCHASE');

-- prepaid: changes the labels of a purchase
-- > labels is {"team":"b"}
update purchases set labels = '{"team": "b"}' where :account;

-- prepaid: changes the request id of a purchase
-- > request_id is another
update purchases set request_id = 'another' where :account;

--- Which request wrote an entry.

-- prepaid: removes the request of an entry
-- > has no method, and is not of the request of the entry before it
update entries set method = null, fingerprint = null, response = null where :charge;

-- prepaid: removes the request that opened the account
-- > a OPEN_ACCOUNT names a request
update entries set method = null, fingerprint = null, response = null, request_id = null
where :account and seq = 1;

-- prepaid: changes the method of an entry
-- > a CHARGE is not written by Commit first
update entries set method = code('Commit') where :charge;

-- prepaid, chain not recomputed: writes a method that does not exist
-- > cannot be read: there is no name for the code 99
update entries set method = 99 where :charge;

-- prepaid, chain not recomputed: writes a kind that does not exist
-- > cannot be read: there is no name for the code 99
update entries set kind = 99 where :charge;

-- prepaid: gives a method to an entry that has no request
-- > a request of Commit has no id
alter table entries drop constraint if exists entries_request_check;
update entries set method = code('Commit') where :account and kind = code('EXPIRE');

-- prepaid: gives a request to an entry of the service
-- > has no method, and is not of the request of the entry before it
update entries set request_id = '\x01' where :account and kind = code('EXPIRE');

-- prepaid: changes the caller of an entry of the service
-- > its caller is somebody, and it has no request
update entries set caller = 'somebody' where :account and kind = code('EXPIRE');

-- prepaid: changes the request id of an entry that follows the first of its mutation
-- > has no method, and is not of the request of the entry before it
update entries set request_id = '\x01' where :account and seq = 2;

-- prepaid: gives another caller to an entry that follows the first of its mutation
-- > has no method, and is not of the request of the entry before it
update entries set caller = 'somebody' where :account and seq = 3;

-- prepaid: makes an entry follow one of another method
-- > a RESERVE does not follow the first entry of GrantCredits
update entries e set method = null, fingerprint = null, response = null,
  request_id = before.request_id, caller = before.caller,
  personal = altered(e.personal, '{on_behalf_of}', '"user:ann"')
from entries before
where e.:account and before.:account and e.seq = before.seq + 1
  and before.method = code('GrantCredits') and e.kind = code('RESERVE');

-- prepaid: changes the source of what an operator granted
-- > is of source ALLOWANCE, and GrantCredits made it
update grants set source = 'ALLOWANCE' where :account and source = 'OPERATOR';

-- prepaid: says that the account’s allowance was granted at its opening twice
-- > opening the account granted WELCOME before
update grants set source = 'WELCOME' where :account and grant_id = 2;

-- prepaid: changes the request id of an entry, and leaves its bytes in another form
-- > its request id is not as the service writes it
update entries set request_id = '\x00' || convert_to(request_id_to_text(request_id), 'UTF8') where :charge;

-- prepaid: removes the response of a request
-- > its request has no response, and was not erased
update entries set response = null where :charge;

-- prepaid: removes the fingerprint of a request
-- > its request has no fingerprint, and was not erased
update entries set fingerprint = null where :charge;

-- prepaid: leaves a response where there was no request
-- > it has the response of a request, and no method
update entries set response = '\x00' where :account and kind = code('EXPIRE');

-- prepaid: gives two charges one request id
-- > of Charge: carried out 2 times
drop index if exists entries_request;
update entries
  set request_id = (select request_id from entries
  where :charge) where :account and kind = code('CHARGE');

--- The account’s settings and packs.

-- prepaid: changes the account’s name
-- > display_name is Somebody, the entries say renamed
update accounts set display_name = 'Somebody' where :account;

-- bare: changes the labels of the account
-- > labels is {"team":"b"}, the entries say {"team":"c"}
update accounts set labels = '{"team": "b"}' where :account;

-- bare: removes the account’s own levels
-- > low_balance_levels is plan, the entries say 10,20%
update accounts set low_balance_levels = null where :account;

-- bare: gives the account a pause floor
-- > pause_floor is 7, the entries say plan
update accounts set pause_floor = 7 where :account;

-- bare: changes a detail of the entry that set it
-- > low_balance_levels is 10,20%, the entries say 30
update entries set content = altered(content, '{d,low_balance_levels}', '"30"')
where :account and content -> 'd' ->> 'low_balance_levels' is not null;

-- bare: states a detail that there is not
-- > a UPDATE_ACCOUNT does not state a colour
update entries set content = altered(content, '{d,colour}', '"red"') where :account and kind = code('UPDATE_ACCOUNT');

-- bare: changes the labels that an entry set
-- > its details say 1 of its 2 labels
update entries set personal = '{"labels":{"a":"b","c":"d"}}' where :account and seq = 3;

-- topped: changes the threshold of auto top-up
-- > auto_top_up is
update accounts set auto_top_up = jsonb_set(auto_top_up, '{threshold}', '91') where :account;

-- bare: opens a closed account again
-- > state is OPEN, the entries say CLOSED
update accounts set state = 'OPEN' where :account;

-- bare: changes when the account was closed
-- > closed_at is
update accounts set closed_at = closed_at + interval '1 s' where :account;

-- bare: changes when the account was opened
-- > opened_at is
update accounts set opened_at = opened_at - interval '1 s' where :account;

-- bare: changes the kind of the first entry
-- > is the first entry, and a UPDATE_ACCOUNT
update entries set kind = code('UPDATE_ACCOUNT') where :account and seq = 1;

-- bare: opens the account twice
-- > opens the account again
update entries set kind = code('OPEN_ACCOUNT') where :account and seq = 2;

-- bare: closes the account twice
-- > closes the account again
update entries set kind = code('CLOSE_ACCOUNT') where :account and kind = code('WITHDRAW_PACK');

-- bare: closes the account earlier
-- > is a UPDATE_ACCOUNT of an account that was closed at
update entries set kind = code('CLOSE_ACCOUNT'), content = '{}', personal = null, salt = null
where :account and seq = 2;

-- bare: deletes a pack
-- > pack special is undefined
delete from custom_packs where :account and pack_id = 'special';

-- bare: changes the price of a pack
-- > pack special is
update custom_packs set amount = 1 where :account and pack_id = 'special';

-- bare: puts a pack on offer again that was withdrawn
-- > pack other is
update custom_packs set withdrawn_at = null where :account and pack_id = 'other';

-- bare: changes the price of a pack in its entry
-- > pack special is
update entries set content = altered(content, '{d,amount}', '"1"') where :account and kind = code('OFFER_PACK');

-- bare: withdraws a pack that was never offered
-- > pack another was not on offer
update entries set content = '{"d":{"pack_id":"another"}}' where :account and kind = code('WITHDRAW_PACK');

--- Erased personal data.

-- prepaid, chain not recomputed: erases without the hash of what was erased
-- > its hash is not that of what it says
update entries set salt = null, fingerprint = null, response = null, reference = null, personal = null where :charge;

-- prepaid: erases without the hash of what was erased, and recomputes the chain
-- > its request has no fingerprint, and was not erased
update entries set salt = null, fingerprint = null, response = null, reference = null, personal = null where :charge;

-- prepaid, chain not recomputed: alters the hash of what was erased
-- > its hash is not that of what it says
select erase_entry(account_id, seq) from entries where :charge;
update entries set erased_hash = set_byte(erased_hash, 0, 255 - get_byte(erased_hash, 0)) where :charge;

-- prepaid, chain not recomputed: removes the hash of what was erased
-- > its hash is not that of what it says
select erase_entry(account_id, seq) from entries where :charge;
update entries set erased_hash = null where :charge;

-- prepaid, chain not recomputed: gives an erased entry another reference
-- > its personal data were erased, and it has some
select erase_entry(account_id, seq) from entries where :charge;
update entries set reference = 'another' where :charge;

-- prepaid, chain not recomputed: gives an erased entry another response
-- > its personal data were erased, and it has some
select erase_entry(account_id, seq) from entries where :charge;
update entries set response = '\x00' where :charge;

-- prepaid: erases the reference of a grant, and no entry says so
-- > source_reference is , entry
update grants set source_reference = '' where :account and source = 'OPERATOR';

-- prepaid: erases the labels of a reservation, and no entry says so
-- > its reference, labels or rate card are not those of its reservation
update reservations set labels = null, reference = null where :active;

-- buyer: erases a purchase, and no entry says so
-- > customer_email is null, entry
update purchases set labels = '{}', customer_email = null, success_url = '', cancel_url = '', checkout_url = left(checkout_url, 0)
where :account;

-- buyer: erases the data of an event, and no entry says so
-- > its data were erased, and no entry says so
update events set data = '{}', salt = null where :account and type = 'purchase.resolved';

-- prepaid: erases the data of an event that has no text of a caller
-- > its data were erased, and no entry says so
update events set data = '{}', salt = null where :account and type = 'balance.low';

-- erased, chain not recomputed: removes the entry that says what was erased
-- > is the first entry
delete from entries where :account and kind < code('ERASE_ACCOUNT_DATA');

-- erased: says that no event was erased
-- > its data were erased, and no entry says so
update entries set content = altered(content, '{d,events}', '"0"') where :account and kind = code('ERASE_ACCOUNT_DATA');

-- erased: does not say which events were erased
-- > does not say which events it erases
update entries set content = '{}' where :account and kind = code('ERASE_ACCOUNT_DATA');

-- erased: erases an open account
-- > erases the data of an open account
update entries set kind = code('UPDATE_ACCOUNT'), method = code('UpdateAccount') where :account and kind = code('CLOSE_ACCOUNT');

-- erased: gives the account a name again
-- > display_name is Ann, the entries say
update accounts set display_name = 'Ann' where :account;

-- erased: gives the account labels again
-- > labels is
update accounts set labels = '{"team":"a"}' where :account;

-- erased: gives a grant its reference again
-- > erased it
update grants set source_reference = 'Ann, by phone' where :account and source = 'OPERATOR';

-- erased: gives a reservation its reference again
-- > it has a reference or labels, entry
update reservations set reference = 'job', labels = '{"team":"a"}' where :account;

-- erased: gives a purchase its reference again
-- > erased it
update purchases set payment_reference = 'order-2', payment_reference_key = 'order-2'
where :account and method = 'REFERENCE';

-- erased: gives a purchase a payer again
-- > customer_email is "ann@example.com", entry
update purchases set customer_email = 'ann@example.com' where :account and method = 'CHECKOUT';

-- erased: gives a purchase an URL again
-- > success_url is "https://shop.example/ann", entry
update purchases set success_url = 'https://shop.example/ann' where :account and method = 'CHECKOUT';

-- erased: gives a decision its reason again
-- > decision_reason is "Ann called", entry
update purchases set decision_reason = 'Ann called' where :account and decision is not null;

-- erased: gives an event data again
-- > its data were erased, and it has some
update events set data = '{"reason":"Ann called"}' where :account and type = 'purchase.resolved';

-- erased: gives an event data and a salt again
-- > it has data, entry
update events set data = '{"reason":"Ann called"}', salt = '\x00' where :account and type = 'purchase.resolved';

-- erased: dates an event whose data were erased
-- > its hash is not that of what it says
update events set at = at + interval '1 ms' where :account and type = 'purchase.resolved';

-- erased, chain not recomputed: gives an entry its reference again
-- > its personal data were erased, and it has some
update entries set reference = 'Ann' where :account and kind = code('CHARGE');

-- prepaid: removes the salt of personal data
-- > its personal data have no salt
update entries set salt = null where :charge;

-- prepaid: leaves a salt of no personal data
-- > it has a salt and nothing personal
update entries set salt = '\x00' where :account and method is null and reference is null and personal is null;

-- prepaid: removes the salt of a request
-- > its personal data have no salt
update entries set salt = null where :account and kind = code('UPDATE_ACCOUNT');
update entries set personal = null, reference = null where :account and kind = code('UPDATE_ACCOUNT');

-- prepaid, chain not recomputed: writes a member that nobody reads
-- > its content is not as the service writes it
update entries set content = altered(content, '{z}', '1') where :charge;

-- prepaid, chain not recomputed: writes personal data with blanks
-- > its personal data are not as the service writes them
update entries set personal = (' ' || personal::text)::json where :charge;

--- Plans.

-- prepaid: changes the account’s plan without an entry
-- > plan_id is postpaid, the entries say prepaid
update accounts set plan_id = 'postpaid' where :account;

-- prepaid: changes the plan of a charge
-- > names plan bare, the account lived under prepaid
update entries set plan_id = 'bare' where :charge;

-- prepaid: changes the previous plan of a plan change
-- > moves the account from plan bare, it lived under prepaid
update entries set previous_plan_id = 'bare' where :account and kind = code('PLAN_CHANGE') and plan_id = 'postpaid';

-- prepaid: changes a plan change to the account’s own plan
-- > moves the account from plan prepaid to itself
update entries set plan_id = 'prepaid' where :account and kind = code('PLAN_CHANGE');

-- prepaid: changes a charge to a plan change
-- > names plan prepaid, the account lived under postpaid
update entries set kind = code('PLAN_CHANGE'), content = '{}', credits = 0, plan_id = 'postpaid',
  previous_plan_id = 'prepaid', rate_card_version = null where :charge;

-- prepaid: sets the plan of a purchase’s entry
-- > names plan bare, the account lived under prepaid
update entries set plan_id = 'bare' where :account and kind = code('PURCHASE');

-- prepaid: prices a charge on a rate card that does not exist
-- > is priced on rate card 9 of plan prepaid, which does not exist
update entries set rate_card_version = 9 where :charge;

-- prepaid: prices a charge on a rate card that came later
-- > is priced on rate card 9 of plan prepaid, which is in force from 2041
insert into rate_cards select plan_id, 9, content, created_at, '2041-01-01Z', hash from rate_cards where plan_id = 'prepaid';
update entries set rate_card_version = 9 where :charge;

-- prepaid: changes the plan of a reservation
-- > its reference, labels or rate card are not those of its reservation
update reservations set plan_id = 'bare' where :active;

-- prepaid: changes the plan of a refund
-- > is of another rate card than what it refunds
update entries set plan_id = 'bare' where :refund;

-- prepaid: removes the rate card version of a charge
-- > a CHARGE names a rate card
update entries set rate_card_version = null where :charge;

-- prepaid: says that a charge had terms that do not exist
-- > has version 9 of plan prepaid, which does not exist
update entries set plan_version = 9 where :charge;

-- prepaid: says that a charge had newer terms than the entries after it
-- > has version 1 of plan prepaid, an earlier entry has version 2
insert into plan_versions select plan_id, 2, title, terms, created_at, hash from plan_versions where plan_id = 'prepaid';
update entries set plan_version = 2 where :charge;

-- prepaid: changes the reservation of a refund
-- > is of another reservation than what it refunds
update entries set reservation_id = (select reservation_id from reservations where :active) where :refund;

--- Limited grants, raises, allowances that are carried over, and refunds that make new grants.

-- waterfall: limits a grant to an operation it was not spent on
-- > operations is another, entry
update grants set operations = '["another"]' where :account and source = 'OPERATOR';

-- waterfall: limits a grant that paid for no operation
-- > grant 1: operations is job.pages, entry 2 says
update grants set operations = '["job.pages"]' where :account and grant_id = 1;

-- waterfall: changes the kind of a raise to RESERVE
-- > reserves a reservation that was reserved before
update entries set kind = code('RESERVE') where :account and kind = code('RAISE');

-- waterfall: raises the priority of a grant made by a refund
-- > priority is 1, entry
update grants set priority = 1 where :account and source = 'REFUND';

-- waterfall: extends the expiry of a grant made by a refund
-- > expires_at is
update grants set expires_at = expires_at + interval '1 day' where :account and source = 'REFUND';

-- waterfall: changes the source of a grant made by a refund
-- > were not granted again
update grants set source = 'OPERATOR' where :account and source = 'REFUND';

-- waterfall: changes the period of an allowance
-- > it is the allowance of 2031-02
update grants set source_reference = '2031-02' where :account and grant_id = 1;

-- waterfall: changes the source of an allowance that was carried over
-- > source is OPERATOR
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
delete from entries where :account and kind = code('CLAW_BACK') and seq = (
  select min(seq) from entries where :account and kind = code('CLAW_BACK'));

-- buyer: changes a claw-back to a reinstatement
-- > gives 100 again of grant
update entries set kind = code('REINSTATE'), content = altered(content, '{m,0,0}', '"ia"')
  where :account and kind = code('CLAW_BACK') and credits = 100;

-- buyer: removes the request of a purchase
-- > method is 8, entry
update entries set method = null, fingerprint = null, response = null where :account and kind = code('CHECKOUT');

-- buyer: deletes a pending purchase
-- > there is no purchase
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
-- > method is 9, entry
update entries set method = null, fingerprint = null, response = null where :account and method = code('ResolvePurchase');

-- buyer: changes the reason of a decision
-- > decision_reason is none, entry
update purchases set decision_reason = 'none' where :account and state = 'REJECTED';

-- buyer: marks a rejected purchase as MISMATCHED
-- > has 1 entries of REJECT_PURCHASE
alter table purchases drop constraint if exists purchases_decision_check;
update purchases set state = 'MISMATCHED', decision = null, decided_by = null, decision_reason = null, decided_at = null
  where :account and state = 'REJECTED';

-- buyer: makes a pending purchase cheaper
-- > amount is 1.000000000, entry
update purchases set amount = 1 where :account and state = 'PENDING';

-- buyer: changes the purchase of a claw-back
-- > credits_clawed_back is
update entries set purchase_id = (select purchase_id from purchases where :account and state = 'PENDING')
where :account and kind = code('CLAW_BACK');

-- buyer: grants a purchase before it was made
-- > a PURCHASE does not follow the first entry of Purchase
update entries set purchase_id = (select purchase_id from purchases where :account and state = 'PENDING')
where :account and kind = code('PURCHASE');

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

-- corrected: says that more was voided of a grant
-- > voided is
update grants set voided = voided - 1 where :account and voided > 1 and remaining = 0;

-- corrected: lets a grant void more of what comes back
-- > void_on_return is
update grants set void_on_return = coalesce(void_on_return, 0) + 1 where :account and remaining > 0;

-- corrected: lets a grant void nothing of what comes back
-- > void_on_return is 0, the entries say
update grants set void_on_return = null where :account and void_on_return > 0;

-- corrected: changes a term of a grant that was changed before
-- > priority is 2, entry
update grants set priority = 2 where :account and priority = 1;

-- corrected: changes what a change says that there was before
-- > says that priority of grant
update entries set content = altered(content, '{d,previous_priority}', '"7"')
where :account and kind = code('UPDATE_GRANT') and content -> 'd' ->> 'priority' = '10';

-- corrected: changes what a change of a grant says that there is
-- > priority is 10, entry
update entries set content = altered(content, '{d,priority}', '"7"')
where :account and kind = code('UPDATE_GRANT') and content -> 'd' ->> 'priority' = '10';

-- corrected: turns voided credits of a release into available ones
-- > voids 0 of
update entries set content = replace(content::text, '"rv"', '"ra"')::json
where :account and kind = code('RELEASE');

-- corrected: lifts a suspension
-- > suspension is none, the entries say
update accounts set suspension = null where :account;

-- corrected: changes why an account is suspended
-- > suspension is
update accounts set suspension = jsonb_set(suspension, '{reason}', '"other"') where :account;

-- prepaid: suspends an account
-- > suspension is
update accounts set suspension = '{"since": 0, "reason": "x", "caller": "x", "running": "STOP"}' where :account;

-- budgeted: lets a value use more of a budget
-- > the counter of budget of entry
update budget_counters set used = used - 1 where :account and used > 1;

-- budgeted: forgets what a value has used
-- > is missing, the entries say
delete from budget_counters where :account and value = 'bob';

-- budgeted: counts for another value
-- > no entry counts on it
update budget_counters set value = 'mallory' where :account and value = 'bob';

-- budgeted: forgets that subscribers were told
-- > says that null was exceeded, the entries say 8
update budget_counters set reported_cap = null where :account and reported_cap is not null;

-- budgeted: raises a cap
-- > budget per-user is
update accounts set budgets = jsonb_set(budgets, '{2,cap}', '900') where :account;

-- budgeted: removes all budgets
-- > budget old is none, the entries say
update accounts set budgets = null where :account;

-- budgeted: states an exception that nobody set
-- > budget per-user is
update accounts set budgets = jsonb_set(budgets, '{2,exceptions,mallory}', 'null') where :account;

-- budgeted: has a job hold nothing for an operation
-- > held_by_operation is none, the entries say
update reservations set held_by_operation = null where :account and held_by_operation is not null;

-- budgeted: charges more than a hard budget allows
-- > above its cap of
update entries set content = altered(content, '{d,cap}', '"15"')
where :account and kind = code('SET_BUDGET') and content -> 'd' ->> 'budget_id' = 'per-user';

-- budgeted: counts a budget from a later entry on
-- > its budget counts since
update entries set content = altered(content, '{d,since}', '"9"')
where :account and seq = (select min(seq) from entries where :account and kind = code('SET_BUDGET'));

-- prepaid: sets a budget
-- > budget a is
update accounts set budgets = '[{"budget_id": "a", "since": 1, "label": "team", "value": null, "cap": 1, "period": "DAY", "enforcement": "HARD", "exceptions": {}}]'
where :account;

--- Imports.

-- imported: changes when the account was opened
-- > opened_at is
update accounts set opened_at = opened_at - interval '1 day' where :account;

-- imported: changes the opening that the first entry states
-- > opened_at is
update entries set content = altered(content, '{d,opened_at}', '"2030-01-01T00:00:00.000Z"')
where :account and seq = 1;

-- imported: says that the account was opened here
-- > says that the account was opened at undefined, and is of ImportAccount
update entries set content = altered(content, '{d}', '{}') where :account and seq = 1;

-- imported: says that the account was opened after its import
-- > after it was imported
update entries set content = altered(content, '{d,opened_at}', '"2039-01-01T00:00:00.000Z"')
where :account and seq = 1;

-- prepaid: says of an account that was opened here that it was opened earlier
-- > says that the account was opened at 2030-01-01T00:00:00.000Z, and is of OpenAccount
update entries set content = altered(content, '{d}', '{"opened_at": "2030-01-01T00:00:00.000Z"}')
where :account and seq = 1;

-- imported: hides from which system the account comes
-- > does not say from which system it comes
update entries set content = altered(content, '{d,system}', '""') where :account and kind = code('IMPORT');

-- imported: hides what was spent before the import
-- > remaining
update entries set content = replace(content::text, '"ic"', '"ia"')::json
where :account and kind = code('PURCHASE') and seq < 7;

-- imported: changes when a purchase was paid
-- > paid_at is
update purchases set paid_at = paid_at + interval '1 day' where :account and payment_reference = 'invoice-1';

-- imported: changes when a purchase was made
-- > created_at is
update purchases set created_at = created_at + interval '1 day' where :account and payment_reference = 'invoice-1';

-- imported: changes the payment that a purchase was imported with
-- > payment_intent_id is
update purchases set payment_intent_id = 'pi_other' where :account and payment_reference = 'invoice-1';

-- imported: says of a purchase here that it was paid before
-- > is not of an import
update entries set content = altered(content, '{d,paid_at}', content::jsonb #> '{d,effective_at}')
where :account and kind = code('PURCHASE') and reference = 'order-of-imported';

-- imported: says that a purchase was paid and granted at different times
-- > was paid at 2030-01-01T00:00:00.000Z, and granted at
update entries set content = altered(content, '{d,paid_at}', '"2030-01-01T00:00:00.000Z"')
where :account and kind = code('PURCHASE') and reference = 'invoice-1';

-- imported: puts the next allowance off
-- > allowance_due_at is
update accounts set allowance_due_at = allowance_due_at + interval '1 day' where :account;

-- imported: has the import say another end of the running period
-- > allowance_due_at is
update entries set content = altered(content, '{d,period_end}', '"2039-01-01T00:00:00.000Z"')
where :account and kind = code('IMPORT');

-- imported: takes overage out of the import
-- > moves credits available to consumed of no grant
update entries set content = replace(content::text, '"oc"', '"ac"')::json where :account and kind = code('IMPORT');

-- imported: turns the end of the import into a charge
-- > the import before it has not ended
update entries set kind = code('CHARGE') where :account and kind = code('IMPORT');

-- imported: says of a charge that it is the end of an import
-- > is not the end of an import
update entries set kind = code('IMPORT') where :account and kind = code('CHARGE');

-- imported: says that the import was a request of its own
-- > is not written by ImportAccount first
update entries set method = code('ImportAccount') where :account and kind = code('IMPORT');

-- imported: imports a grant that is to come
-- > which is to come
update entries set content = altered(content, '{d,effective_at}', '"2039-01-01T00:00:00.000Z"')
where :account and kind = code('GRANT') and content -> 'd' ->> 'source' = 'OPERATOR';

-- imported: moves an import into the past
-- > and of an import of
update entries set at = at + interval '1 millisecond' where :account and kind = code('IMPORT');

-- postpaid: says of credits that were granted here that they were spent before
-- > moves credits issued to consumed, and is not of an import
update entries set content = replace(content::text, '"ia"', '"ic"')::json
where :account and kind = code('GRANT') and content -> 'd' ->> 'source' = 'WELCOME';

--- Late usage.

-- late: says that usage happened long ago
-- > which is later than its plan allows
update entries set content = altered(content, '{t}', '1922000000000') where :late;

-- late: says that usage is to come
-- > which was to come
update entries set content = altered(content, '{t}', '4102444800000') where :late;

-- late: says that usage for which credits returned was of now
-- > does not spend what returned for late usage in the entry before it
update entries set content = (content::jsonb - 't')::json where :late;

-- late: returns less of an allowance than is spent
-- > of which 9 returned for it
update entries set content = altered(content, '{m,0,2}', '9'), credits = 9 where :returned;

-- late: returns credits of an allowance for no usage
-- > a REINSTATE of a purchase does not move that
update entries set content = (content::jsonb - 't')::json where :returned;

-- late: says that more of an allowance can return
-- > expired is 12, the moves say
update grants set expired = 12 where account_id = :id and grant_id = 1;

-- late: closes a month before its window is over
-- > late usage could come until 2032-01-04T00:00:00.000Z
update statements set closed_at = '2032-01-02Z' where account_id = :id and month = '2031-12';

-- late: leaves late usage out of its month
-- > the entries say
update statements set overage = overage + 1 where account_id = :id and month = '2031-12';

-- late: says that a job was done at another time
-- > used_at is
update reservations set used_at = '2031-12-30Z' where account_id = :id;
