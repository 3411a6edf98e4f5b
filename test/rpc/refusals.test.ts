/** charge.refused: what is refused for lack of credits is reported outside the calls. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Criticality } from '../../src/gen/billing/v1/ledger.ts';
import { MINUTE, openWithCredits, storedRows } from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  // In the middle of a minute.
  scrip = await startTestService({ frozenAt: Date.UTC(2027, 2, 10, 12, 0, 30) });
});
afterAll(() => scrip.stop());

const refuse = (accountId: string, credits: bigint, on = scrip) =>
  on.billing.charge({ accountId, requestId: requestId(), credits }).catch(() => {});

const refusalsOf = async (accountId: string) =>
  (await eventsOf(scrip, { accountId, types: ['charge.refused'] })).map(({ data }) =>
    Object.fromEntries(data),
  );

const expectRefusals = async (accountId: string, expected: readonly unknown[]) => {
  await scrip.service.reportRefusals();
  await expect.poll(() => refusalsOf(accountId), { timeout: 60_000 }).toMatchObject(expected);
};

describe('refusals of one account', () => {
  test('are one event a minute, with the newest amounts and the number of all since', async () => {
    const accountId = await openWithCredits(scrip, 5n);
    await refuse(accountId, 9n);
    const first = { reason: 'INSUFFICIENT_CREDITS', required: '9', available: '5', shortfall: '4' };
    await expectRefusals(accountId, [{ ...first, count: '1' }]);
    for (const credits of [10n, 11n, 12n]) await refuse(accountId, credits);
    await expectRefusals(accountId, [{ ...first, count: '1' }]);
    scrip.advance(MINUTE);
    const later = { required: '12', available: '5', shortfall: '7', count: '3' };
    await expectRefusals(accountId, [first, later]);
    scrip.advance(MINUTE);
    await expectRefusals(accountId, [first, later]);
  });

  test('are events of their own for each reason, also in a batch', async () => {
    const accountId = await openWithCredits(scrip, 5n);
    const pauseFloor = { credits: 6n };
    await scrip.accounts.updateAccount({ accountId, requestId: requestId(), pauseFloor });
    const charge = (criticality: Criticality) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 6n, criticality },
      },
    });
    await scrip.billing.batch({
      mutations: [charge(Criticality.SHEDDABLE), charge(Criticality.CRITICAL)],
    });
    await expectRefusals(accountId, [
      { reason: 'PAUSED_BELOW_FLOOR', available: '5', floor: '6', count: '1' },
      { reason: 'INSUFFICIENT_CREDITS', required: '6', shortfall: '1', count: '1' },
    ]);
  });

  test('are reported by each replica for itself', async () => {
    const accountId = await openWithCredits(scrip, 5n);
    const other = await startTestService({
      databaseUrl: scrip.databaseUrl,
      frozenAt: scrip.now(),
    });
    try {
      await refuse(accountId, 6n);
      await refuse(accountId, 7n, other);
      await Promise.all([scrip.service.reportRefusals(), other.service.reportRefusals()]);
      await expect.poll(async () => (await refusalsOf(accountId)).length).toBe(2);
    } finally {
      await other.stop();
    }
  });
});

test('a replica that stops reports what it has collected', async () => {
  const accountId = await openWithCredits(scrip, 5n);
  const other = await startTestService({ databaseUrl: scrip.databaseUrl, frozenAt: scrip.now() });
  await refuse(accountId, 6n, other);
  await other.stop();
  await expectRefusals(accountId, [{ reason: 'INSUFFICIENT_CREDITS', count: '1' }]);
});

test('a refused call writes nothing itself, and other failures are no refusals', async () => {
  const accountId = await openWithCredits(scrip, 5n);
  await scrip.service.reportRefusals();
  const before = await storedRows(scrip, accountId);
  await scrip.billing
    .charge({ accountId, requestId: requestId(), usages: { items: [{ operation: 'no.such' }] } })
    .catch(() => {});
  await refuse(accountId, -1n);
  await scrip.service.reportRefusals();
  expect(await storedRows(scrip, accountId)).toBe(before);
  expect(await refusalsOf(accountId)).toEqual([]);
});
