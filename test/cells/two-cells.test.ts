/** A service on two cells, each on a PostgreSQL server of its own. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { accountsIn, publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

let two: TwoCells;
let scrip: TestService;
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two);
  scrip = await startTestService({ installation: two.installation });
});
afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

async function open(accountId: string) {
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  await scrip.accounts.grantCredits({
    ...{ accountId, requestId: requestId(), credits: 100n, reason: 'a test' },
    category: Grant_Category.PAID,
  });
}

test('migrate makes both ledgers, and divides the slots', () => {
  expect(two.migrated).toEqual([
    expect.stringMatching(/^cell one: migrated: 0001-baseline, /),
    expect.stringMatching(/^cell two: migrated: 0001-baseline, /),
    'cell one: recorded version 1 of the map, slots 0-2047',
    'cell two: recorded version 1 of the map, slots 2048-4095',
  ]);
});

test('an account is in the cell of its slot, with all that happens to it', async () => {
  const [one, other] = [two.idIn('one'), two.idIn('two')];
  await open(one);
  await open(other);
  for (const accountId of [one, other]) {
    const { reservation } = await scrip.billing.reserve({
      ...{ accountId, requestId: requestId(), credits: 30n },
    });
    await scrip.billing.commit({
      ...{ accountId, requestId: requestId(), credits: 10n },
      reservationId: reservation?.reservationId ?? '',
    });
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance?.available).toBe(90n);
  }
  expect(await accountsIn(two.cells[0])).toContain(one);
  expect(await accountsIn(two.cells[0])).not.toContain(other);
  expect(await accountsIn(two.cells[1])).toContain(other);
  for (const { url } of two.cells) expect(await verify(url)).toMatchObject({ ok: true });
});

test('a batch is split by cell, and answered in its order', async () => {
  const ids = [two.idIn('one'), two.idIn('two')] as const;
  await Promise.all(ids.map(open));
  const charges = Array.from({ length: 40 }, (_, index) => ({
    accountId: ids[index % 2] as string,
    requestId: requestId(),
    credits: BigInt(index + 1),
  }));
  const { results } = await scrip.billing.batch({
    mutations: charges.map((value) => ({ mutation: { $case: 'charge', value } })),
  });
  // The first charges of each account that its 100 credits cover: 1, 3, 5 … and 2, 4, 6 …
  const covered = new Set([
    ...[1n, 3n, 5n, 7n, 9n, 11n, 13n, 15n, 17n, 19n],
    ...[2n, 4n, 6n, 8n, 10n, 12n, 14n, 16n, 18n],
    10n,
  ]);
  for (const [index, { result }] of results.entries()) {
    const { credits = 0n } = charges[index] ?? {};
    if (covered.has(credits)) expect(result).toMatchObject({ $case: 'charge' });
    else
      expect(result).toMatchObject({ $case: 'error', value: { reason: 'INSUFFICIENT_CREDITS' } });
  }
});

test('an atomic batch is decided in the cell of its account', async () => {
  const accountId = two.idIn('two');
  await open(accountId);
  const charging = (credits: bigint) => ({
    mutation: {
      $case: 'charge' as const,
      value: { accountId, requestId: requestId(), credits },
    },
  });
  const refused = await scrip.billing.batch({ atomic: true, mutations: [30n, 80n].map(charging) });
  expect(refused.results.map(({ result }) => result?.$case)).toEqual(['error', 'error']);
  const done = await scrip.billing.batch({ atomic: true, mutations: [30n, 70n].map(charging) });
  expect(done.results.map(({ result }) => result?.$case)).toEqual(['charge', 'charge']);
  const { balance } = await scrip.billing.getBalance({ accountId });
  expect(balance?.available).toBe(0n);
});
