/** The figures of a real service, and how often its metrics are read for them. */
import { expect, test } from 'vitest';
import { Live } from '../../src/console/live.ts';
import { startTestService } from '../service.ts';
import { Browser } from './browser-client.ts';

test('the service shows what it does', async () => {
  const scrip = await startTestService({ env: { ADMIN_PORT: '0' }, frozenAt: Date.now() });
  const browser = new Browser(scrip);
  const live = async () => JSON.parse((await browser.send({ path: '/console/api/live' })).text);
  expect(await live()).toMatchObject({ windowMs: 0, queue: 0, pool: { max: 10 } });
  scrip.advance(1_000);
  await scrip.open('verts');
  for (let call = 0; call < 3; call += 1) await scrip.plans.listPlans({});
  await scrip.accounts.getAccount({ accountId: 'none' }).catch(() => {});
  scrip.advance(1_000);
  await scrip.service.readGauges();
  const figures = await live();
  expect(figures).toMatchObject({
    windowMs: 2_000,
    calls: { perSecond: 2.5, failedPerSecond: 0.5 },
    refusals: [{ reason: 'ACCOUNT_NOT_FOUND', count: 1, perSecond: 0.5 }],
    reservations: { active: 0, oldestAgeMs: 0 },
    deliveries: { pending: 0, dead: 0 },
    verify: { lastSuccessAt: null },
  });
  expect(figures.methods[0]).toMatchObject({
    method: 'billing.v1.PlanService/ListPlans',
    perSecond: 1.5,
  });
  await scrip.stop();
});

function given() {
  let now = 0;
  let reads = 0;
  const read = async () => {
    reads += 1;
    return [];
  };
  const live = new Live({ read, monotonic: () => now });
  const windowAt = async (at: number) => {
    now = at;
    return (await live.figures()).windowMs;
  };
  return { live, windowAt, reads: () => reads };
}

test('metrics are read once a second at most, and only if somebody looks', async () => {
  const { live, windowAt, reads } = given();
  expect(reads()).toBe(0);
  await Promise.all([live.figures(), live.figures(), live.figures()]);
  await windowAt(999);
  expect(reads()).toBe(1);
  await windowAt(1_000);
  expect(reads()).toBe(2);
});

test('rates are of the last 10 s, and of none that nobody saw begin', async () => {
  const { windowAt } = given();
  const windows = [];
  for (let at = 0; at <= 30_000; at += 2_000) windows.push(await windowAt(at));
  expect(windows).toEqual([
    ...[0, 2_000, 4_000, 6_000, 8_000, 10_000, 10_000, 10_000],
    ...Array.from({ length: 8 }, () => 10_000),
  ]);
  expect(await windowAt(89_999)).toBe(59_999);
  expect(await windowAt(200_000)).toBe(0);
});
