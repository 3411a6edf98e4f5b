/** The audit that ends other tests finds violations of each of its rules. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
  const { reservationId } = await reserve(8n, 1n);
  scrip.advance(1_500);
  const { entrySeq } = await billing.charge({ ...named(), credits: 12n });
  await billing.refund({ ...named(), seq: entrySeq, credits: 3n });
  await billing.commit({ ...named(), reservationId, credits: 2n });
}

test('a ledger that the service wrote breaks no rule', async () => {
  expect(await audit(scrip.databaseUrl)).toEqual([]);
});

/** A change for each rule that violates it, made by the owner of the database. */
const violations: Record<keyof typeof rules, string> = {
  'seq is 1, 2, 3 … without gaps': `delete from entries where seq = 2`,
  'time never runs backwards': `update entries set at = at - interval '1 hour' where seq = 3`,
  'a grant has what its moves left in it': `update grants set remaining = remaining - 1
    where remaining > reserved`,
  'a move takes no more credits than there are': `update entries
    set moves = '[["available", "reserved", 2, 1000]]' where kind = 'RESERVE' and seq = 3`,
  'an account has the sum of its grants': `update accounts set remaining = remaining + 1`,
  'an entry has the balance after it': `update entries set remaining_after = 19 where seq = 1`,
  'available never goes below zero, or the overage limit': `update entries
    set remaining_after = reserved_after - 1 where kind = 'RESERVE' and seq = 3`,
  'reserved overage is that of active reservations': `update accounts
    set overage_limit = 5, overage_reserved = 1`,
  'a reservation agrees with its entries': `update reservations
    set committed = committed - 1, returned = returned + 1 where committed > 0`,
  'a reservation ends once': `update reservations set state = 'EXPIRED' where state = 'RELEASED'`,
  'a grant has reserved what is allocated to reservations': `update reservations
    set allocations = '[]' where state = 'ACTIVE'`,
  'a request takes effect once': `update entries set request_id = (select request_id from entries
    where kind = 'RESERVE' and seq = 3) where kind = 'RESERVE'`,
  'an entry and its request are written together': `delete from requests where method = 'Charge'`,
  'a paid purchase makes one grant': `update grants set source_reference = '' where grant_id = 2`,
  'a period has one allowance': `insert into grants select (jsonb_populate_record(g,
    '{"grant_id": 9}')).* from grants g where source = 'ALLOWANCE'`,
  'no more is refunded than was committed': `update refunded set refunded = refunded + 1`,
  'an account is due when its next reservation expires': `update accounts set due_at = null`,
  'an account is due when notice of an expiry is due': `update grants
    set notice_at = now() - interval '1 day' where remaining > 0`,
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
