/** The audit that ends other tests finds violations of each of its rules. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KIND_CODES, RESERVATION_STATE_CODES } from '../../src/store/tables/codes.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { audit, brokenRules, rules } from './audit.ts';

let scrip: TestService;
let client: pg.Client;

beforeAll(async () => {
  scrip = await startTestService();
  client = new pg.Client(scrip.databaseUrl);
  await client.connect();
  const accountId = await scrip.open('perfectparser');
  await postEntries(accountId);
  await scrip.open('aspose-cloud');
});
afterAll(async () => {
  await client.end();
  await scrip.stop();
});

/** Posts entries of every kind to an account. */
async function postEntries(accountId: string) {
  const { billing } = scrip;
  const named = () => ({ accountId, requestId: requestId() });
  const reserve = async (credits: bigint, ttlSeconds = 600n) => {
    const ttl = { seconds: ttlSeconds, nanos: 0 };
    const { reservation } = await billing.reserve({ ...named(), credits, ttl });
    return { reservationId: reservation?.reservationId ?? '' };
  };
  await billing.purchase({
    ...named(),
    packId: 'starter',
    payment: { $case: 'paymentReference', value: 'order-1' },
  });
  await billing.commit({ ...named(), ...(await reserve(30n)), credits: 25n });
  await billing.commit({ ...named(), ...(await reserve(10n)), credits: 4n, final: false });
  await billing.release({ ...named(), ...(await reserve(5n)) });
  await reserve(7n, 1n);
  await billing.extendReservation({
    ...named(),
    ...(await reserve(6n)),
    ttl: { seconds: 900n, nanos: 0 },
  });
  const { reservationId } = await reserve(8n, 1n);
  scrip.advance(1_500);
  const { entrySeq } = await billing.charge({ ...named(), credits: 12n });
  await billing.refund({ reason: 'a test', ...named(), seq: entrySeq, credits: 3n });
  await billing.commit({ ...named(), reservationId, credits: 2n });
}

test('a ledger that the service wrote breaks no rule', async () => {
  expect(await audit(scrip.databaseUrl)).toEqual([]);
});

const { RESERVE, COMMIT, CHARGE } = KIND_CODES;
const { ACTIVE, EXPIRED } = RESERVATION_STATE_CODES;

/** A change for each rule that violates it, made by the owner of the database. */
const violations: Record<keyof typeof rules, string> = {
  'seq is 1, 2, 3 … without gaps': `delete from entries where seq = 2`,
  'time never runs backwards': `update entries set at = at - interval '1 hour' where seq = 4`,
  'a grant has what its moves left in it': `update grants set remaining = remaining - 1
    where remaining > reserved`,
  'a move takes no more credits than there are': `update entries
    set content = '{"m":[["ar",2,1000]]}' where kind = ${RESERVE} and seq = 4`,
  'an account has the sum of its grants': `update accounts
    set remaining = remaining + 1, granted = granted + 1`,
  'an entry has the balance after it': `update entries set remaining_after = 19 where seq = 2`,
  'available never goes below zero, or the overage limit': `update entries
    set remaining_after = reserved_after - 1 where kind = ${RESERVE} and seq = 4`,
  'reserved overage is that of active reservations': `update accounts
    set overage_limit = 5, overage_reserved = 1`,
  'an account owes what its moves say': `update accounts set owed = 3`,
  'a running reservation agrees with its entries': `update reservations
    set committed = committed - 1, returned = returned + 1 where committed > 0`,
  'an ended reservation holds nothing': `update entries set content = '{"m":[["rc",2,25]]}'
    where kind = ${COMMIT} and credits = 25`,
  'a reservation ends once': `update reservations
    set state = ${EXPIRED}, allocations = '[]' where state = ${ACTIVE}`,
  'a grant has reserved what is allocated to reservations': `update reservations
    set allocations = '[]' where state = ${ACTIVE}`,
  'a request takes effect once': `update entries set method = null, request_id =
    (select request_id from entries where kind = ${RESERVE} and seq = 4) where kind = ${RESERVE}`,
  'the first entry of a request has its method, and the others follow': `update entries
    set method = null, fingerprint = null, response = null where kind = ${CHARGE}`,
  'an entry with a method has the request and its response': `update entries
    set response = null where kind = ${CHARGE}`,
  'a paid purchase makes one grant': `update grants set source_reference = '' where grant_id = 2`,
  'a period has one allowance': `insert into grants select (jsonb_populate_record(g,
    '{"grant_id": 9}')).* from grants g where source = 'ALLOWANCE'`,
  'no more is refunded than was committed': `update refunded set refunded = refunded + 1`,
  'an account is due when its next reservation expires': `update accounts set due_at = null`,
  'an account is due when notice of an expiry is due': `update grants
    set notice_at = now() - interval '1 day' where remaining > 0`,
  'what a grant voids is what its entries say': `update grants
    set voided = 1, void_on_return = 1 where remaining > 0 and remaining < amount`,
  'limited grants pay only for their operations': `update grants
    set operations = '["another"]'`,
};

test.each(Object.keys(rules))('%s: a violation is found', async (rule) => {
  await client.query('begin');
  try {
    const { rowCount } = await client.query(violations[rule] ?? '');
    expect(rowCount).toBeGreaterThan(0);
    expect(await brokenRules(client)).toContainEqual(expect.stringContaining(`${rule}: `));
  } finally {
    await client.query('rollback');
  }
});
