/** Alerts of a balance over the RPCs: what is spent counts, and the flags of GetBalance agree with the events. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, grant, openWithCredits, reserveCredits } from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
  await scrip.stop();
});

type Level = { credits?: bigint; percent?: number };
const setLevels = (accountId: string, ...levels: readonly Level[]) =>
  scrip.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    lowBalanceLevels: { own: { levels: [...levels] } },
  });
const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits });

/** The events of the account have these types and levels once all have a position. */
async function expectEvents(accountId: string, expected: readonly string[]) {
  const texts = async () =>
    (await eventsOf(scrip, { accountId })).map(
      ({ type, data }) => `${type} ${data.get('level')}: ${data.get('usable')}`,
    );
  await expect.poll(texts, { timeout: 60_000 }).toEqual(expected);
}

/** Whether each level is low. */
const flagsOf = async (accountId: string) =>
  (await balanceOf(scrip, accountId)).levels.map(({ low }) => low);

test('ten reservations that are released report nothing', async () => {
  const accountId = await openWithCredits(scrip, 605n);
  await setLevels(accountId, { credits: 600n });
  const held = await Promise.all(
    Array.from({ length: 10 }, () => reserveCredits(scrip, accountId, 10n)),
  );
  expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 505n, lowBalance: false });
  await Promise.all(
    held.map((reservationId) =>
      scrip.billing.release({ accountId, requestId: requestId(), reservationId }),
    ),
  );
  await charge(accountId, 6n);
  await expectEvents(accountId, ['balance.low 600: 599']);
});

test('an account that is opened below its level reports that it is low, and that it is empty', async () => {
  const accountId = await scrip.open('perfectparser');
  await setLevels(accountId, { credits: 20n });
  await charge(accountId, 1n);
  await charge(accountId, 19n);
  await expectEvents(accountId, ['balance.low 20: 19', 'balance.depleted 0: 0']);
  const empty = await scrip.open('verts');
  expect(await flagsOf(empty)).toEqual([true]);
  await grant(scrip, empty, 30n);
  await charge(empty, 30n);
  await expectEvents(empty, ['balance.low 500: 30', 'balance.depleted 0: 0']);
});

test('each level has its events, and recovers at 110 %', async () => {
  const accountId = await openWithCredits(scrip, 1_000n);
  await setLevels(accountId, { credits: 600n }, { percent: 20 });
  await charge(accountId, 401n);
  expect(await flagsOf(accountId)).toEqual([true, false]);
  await grant(scrip, accountId, 60n);
  expect(await flagsOf(accountId)).toEqual([true, false]);
  await grant(scrip, accountId, 1n);
  expect(await flagsOf(accountId)).toEqual([false, false]);
  await charge(accountId, 660n);
  expect(await flagsOf(accountId)).toEqual([true, true]);
  await expectEvents(accountId, [
    'balance.low 600: 599',
    'balance.recovered 600: 660',
    'balance.low 600: 0',
    'balance.low 20%: 0',
    'balance.depleted 0: 0',
  ]);
});
