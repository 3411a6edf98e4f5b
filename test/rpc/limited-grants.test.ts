/** Grants that are limited to operations, and the split of charges. */

import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Grant_Category, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  MINUTE,
  newestEntry,
  storedRows,
} from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { convert, fromGrant, fromOverage, scan, waterfallPlan } from './waterfall.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [waterfallPlan('prepaid'), waterfallPlan('postpaid', '  overage: { limit: 50 }')],
  });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

const withRequestId = (accountId: string) => ({ accountId, requestId: requestId() });
const grantLimited = (accountId: string, credits: bigint, ...operations: string[]) =>
  scrip.accounts.grantCredits({
    reason: 'a test',
    ...withRequestId(accountId),
    credits,
    category: Grant_Category.PROMOTIONAL,
    ...(operations.length > 0 && { onlyFor: { operations } }),
  });

/** Grant 1 has 10 credits for doc.convert, and grant 2 has 10 for all operations. */
async function openWithLimitedGrant(planId = 'prepaid') {
  const accountId = await scrip.open(planId);
  await grantLimited(accountId, 10n, 'doc.convert');
  await grant(scrip, accountId, 10n);
  return accountId;
}

describe('GrantCredits limited to operations', () => {
  test('returns the operations ordered by name, as ListGrants and GetBalance do', async () => {
    const accountId = await scrip.open('prepaid');
    const { grant: made } = await grantLimited(accountId, 10n, 'doc.scan', 'doc.convert');
    expect(made?.operations).toEqual(['doc.convert', 'doc.scan']);
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants).toEqual([made]);
    const balance = await scrip.billing.getBalance({ accountId, includeGrants: true });
    expect(balance.grants).toEqual([made]);
  });

  test('fails for an operation that is not on the rate card and grants nothing', async () => {
    const accountId = await scrip.open('prepaid');
    const before = await storedRows(scrip, accountId);
    expect(await errorOf(grantLimited(accountId, 5n, 'doc.scan', 'doc.print'))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'UNKNOWN_OPERATION',
      metadata: { operation: 'doc.print' },
      fields: ['only_for.operations[1]'],
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
  });

  test.each([
    ['a duplicate', ['doc.scan', 'doc.convert', 'doc.scan'], 'only_for.operations[2]'],
    ['an empty name', [''], 'only_for.operations[0]'],
    ['a name that is too long', ['x'.repeat(129)], 'only_for.operations[0]'],
    ['more than 100', Array.from({ length: 101 }, (_, n) => `doc.${n}`), 'only_for.operations'],
  ])('of %s is refused', async (_, operations, field) => {
    const accountId = await scrip.open('prepaid');
    expect(await errorOf(grantLimited(accountId, 5n, ...operations))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: [field],
    });
  });
});

describe('a limited grant', () => {
  test('pays for its operations in burn order, with the same split in the response and the entry', async () => {
    const accountId = await openWithLimitedGrant();
    const charged = await scrip.billing.charge({
      ...withRequestId(accountId),
      usages: { items: [scan(3n), convert(12n)] },
    });
    const split = [fromGrant(1n, 10n), fromGrant(2n, 5n)];
    expect(charged.split).toEqual(split);
    expect((await newestEntry(scrip, accountId)).split).toEqual(split);
  });

  test('pays for nothing else in Estimate, Reserve and Charge', async () => {
    const accountId = await openWithLimitedGrant();
    const usages = { items: [convert(2n), scan(14n)] };
    const estimate = await scrip.billing.estimate({ accountId, usages });
    expect(estimate).toMatchObject({
      credits: 16n,
      available: 12n,
      sufficient: false,
      shortfall: 4n,
      packs: [{ pack: { packId: 'small' }, quantity: 1n }],
    });
    const insufficient = {
      code: status.FAILED_PRECONDITION,
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '16', available: '12', shortfall: '4', best_pack: 'small' },
    };
    expect(
      await errorOf(scrip.billing.reserve({ ...withRequestId(accountId), usages })),
    ).toMatchObject(insufficient);
    expect(
      await errorOf(scrip.billing.charge({ ...withRequestId(accountId), usages })),
    ).toMatchObject(insufficient);
    await grant(scrip, accountId, 4n);
    expect(await scrip.billing.estimate({ accountId, usages })).toMatchObject({
      available: 24n,
      sufficient: true,
      shortfall: 0n,
    });
    await scrip.billing.reserve({ ...withRequestId(accountId), usages });
  });

  test('does not pay for requests of credits', async () => {
    const accountId = await openWithLimitedGrant();
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 10n, remaining: 20n });
    const charge = scrip.billing.charge({ ...withRequestId(accountId), credits: 11n });
    expect(await errorOf(charge)).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '11', available: '10', shortfall: '1' },
    });
  });

  test('leaves other operations to overage on a postpaid plan', async () => {
    const accountId = await openWithLimitedGrant('postpaid');
    const usages = { items: [scan(15n), convert(4n)] };
    expect(await scrip.billing.estimate({ accountId, usages })).toMatchObject({
      available: 70n,
      sufficient: true,
    });
    const { split } = await scrip.billing.charge({ ...withRequestId(accountId), usages });
    expect(split).toEqual([fromGrant(1n, 4n), fromGrant(2n, 10n), fromOverage(5n)]);
    expect((await newestEntry(scrip, accountId)).split).toEqual(split);
  });
});

describe('a reservation of limited grants', () => {
  async function activeReservation(overCommitPolicy: OverCommitPolicy) {
    const accountId = await openWithLimitedGrant();
    const { reservation } = await scrip.billing.reserve({
      ...withRequestId(accountId),
      usages: { items: [convert(6n), scan(4n)] },
      overCommitPolicy,
    });
    const { reservationId, allocations } = defined(reservation);
    expect(allocations).toEqual([fromGrant(1n, 6n), fromGrant(2n, 4n)]);
    const commit = (rest: Parameters<typeof scrip.billing.commit>[0]) =>
      scrip.billing.commit({ ...withRequestId(accountId), reservationId, ...rest });
    return { accountId, reservationId, commit };
  }

  test('reports how much can pay for an operation if a commit exceeds that', async () => {
    const { commit } = await activeReservation(OverCommitPolicy.REJECT);
    expect(await errorOf(commit({ usages: { items: [scan(5n)] } }))).toMatchObject({
      reason: 'EXCEEDS_RESERVATION',
      metadata: { asked: '5', allowed: '4' },
    });
    expect((await commit({ usages: { items: [convert(6n), scan(4n)] } })).committed).toBe(10n);
  });

  test('pays what it can under CAP, and takes the difference from other grants under DRAW', async () => {
    const capped = await activeReservation(OverCommitPolicy.CAP);
    expect(await capped.commit({ usages: { items: [scan(5n)] } })).toMatchObject({
      committed: 4n,
      split: [fromGrant(2n, 4n)],
    });
    const drawing = await activeReservation(OverCommitPolicy.DRAW);
    expect(await drawing.commit({ usages: { items: [scan(5n)] } })).toMatchObject({
      committed: 5n,
      split: [fromGrant(2n, 5n)],
    });
    expect((await newestEntry(scrip, drawing.accountId)).split).toEqual([fromGrant(2n, 5n)]);
  });

  test('can be committed completely by partial commits in any order', async () => {
    const { accountId, commit } = await activeReservation(OverCommitPolicy.REJECT);
    await commit({ usages: { items: [convert(2n)] }, final: false });
    await commit({ usages: { items: [scan(4n)] }, final: false });
    const { reservation } = await commit({ usages: { items: [convert(4n)] } });
    expect(reservation).toMatchObject({ committed: 10n, returned: 0n });
    expect((await entriesOf(scrip, accountId)).at(-1)?.split).toEqual([fromGrant(1n, 4n)]);
  });

  test('can be committed late completely, from the limited grant as far as the reservation held it', async () => {
    const { accountId, commit } = await activeReservation(OverCommitPolicy.REJECT);
    scrip.advance(16 * MINUTE);
    await scrip.service.sweep();
    await scrip.billing.charge({ ...withRequestId(accountId), credits: 6n });
    expect(await commit({ all: true })).toMatchObject({
      committed: 10n,
      split: [fromGrant(1n, 6n), fromGrant(2n, 4n)],
      reservation: { late: true },
    });
  });
});

test('1,000 credits for one operation and 5 general ones: every number agrees', async () => {
  const accountId = await scrip.open('prepaid');
  const credits = 500n;
  await scrip.accounts.updateAccount({
    ...withRequestId(accountId),
    lowBalanceLevels: { own: { levels: [{ credits }] } },
  });
  await grant(scrip, accountId, 600n);
  await grantLimited(accountId, 1_000n, 'doc.convert');
  await scrip.billing.charge({ ...withRequestId(accountId), usages: { items: [scan(500n)] } });
  await scrip.billing.charge({ ...withRequestId(accountId), usages: { items: [scan(95n)] } });
  expect(await balanceOf(scrip, accountId)).toMatchObject({
    remaining: 1_005n,
    available: 5n,
    usable: 5n,
    lowBalance: true,
    levels: [{ threshold: 500n, low: true }],
    limited: [
      {
        operations: ['doc.convert'],
        remaining: 1_000n,
        reserved: 0n,
        available: 1_000n,
        stranded: false,
      },
    ],
  });
  const usages = { items: [scan(10n)] };
  const refusal = { reason: 'INSUFFICIENT_CREDITS', metadata: { available: '5', shortfall: '5' } };
  expect(await scrip.billing.estimate({ accountId, usages })).toMatchObject({
    available: 5n,
    sufficient: false,
    shortfall: 5n,
  });
  for (const amount of [{ usages }, { credits: 10n }])
    expect(
      await errorOf(scrip.billing.charge({ ...withRequestId(accountId), ...amount })),
    ).toMatchObject(refusal);
  expect(
    await scrip.billing.estimate({ accountId, usages: { items: [convert(10n)] } }),
  ).toMatchObject({
    available: 1_005n,
    sufficient: true,
  });
  const types = ['balance.low'];
  await expect
    .poll(async () => (await eventsOf(scrip, { accountId, types })).at(-1)?.data)
    .toEqual(mapOf({ level: '500', usable: '100', threshold: '500' }));
});

/** Grants of random limits, spent and reserved in part. */
const randomAccounts = fc.record({
  planId: fc.constantFrom('prepaid', 'postpaid'),
  grants: fc.array(
    fc.record({
      credits: fc.bigInt(1n, 60n),
      operations: fc.subarray(['doc.convert', 'doc.scan']),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  charged: fc.option(fc.tuple(fc.bigInt(1n, 20n), fc.bigInt(1n, 20n))),
  reserved: fc.option(fc.tuple(fc.bigInt(1n, 20n), fc.bigInt(1n, 20n))),
});

test('of random accounts, GetBalance, Estimate and Charge say the same', async () => {
  await fc.assert(
    fc.asyncProperty(randomAccounts, async ({ planId, grants, charged, reserved }) => {
      const accountId = await scrip.open(planId);
      for (const { credits, operations } of grants)
        await grantLimited(accountId, credits, ...operations);
      const jobs = ([pages, scans]: readonly [bigint, bigint]) => [convert(pages), scan(scans)];
      const ignoreRefusal = () => {};
      if (charged)
        await scrip.billing
          .charge({ ...withRequestId(accountId), usages: { items: jobs(charged) } })
          .catch(ignoreRefusal);
      if (reserved)
        await scrip.billing
          .reserve({ ...withRequestId(accountId), usages: { items: jobs(reserved) } })
          .catch(ignoreRefusal);
      const balance = await balanceOf(scrip, accountId);
      const overage = balance.overageLimit - balance.overage;
      const payable = (operation: string | null) =>
        balance.limited
          .filter(({ operations }) => operation !== null && operations.includes(operation))
          .reduce((sum, { available }) => sum + available, balance.available + overage);
      for (const usage of [convert, scan]) {
        const most = payable(usage(1n).operation);
        const usages = { items: [usage(most + 1n)] };
        expect(await scrip.billing.estimate({ accountId, usages })).toMatchObject({
          available: most,
          sufficient: false,
          shortfall: 1n,
        });
        const beyond = scrip.billing.charge({ ...withRequestId(accountId), usages });
        expect((await errorOf(beyond)).metadata).toMatchObject({ available: String(most) });
      }
      const credits = payable(null);
      const beyond = { ...withRequestId(accountId), credits: credits + 1n };
      expect((await errorOf(scrip.billing.charge(beyond))).metadata).toMatchObject({
        available: String(credits),
      });
      const exactly = { ...withRequestId(accountId), credits };
      const { balance: after } = await scrip.billing.charge(exactly);
      expect(after?.limited).toEqual(balance.limited);
    }),
    { numRuns: 30 },
  );
}, 120_000);
