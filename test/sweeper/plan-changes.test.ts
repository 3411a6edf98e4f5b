/** What a publication or a dated price does to accounts is reported although nobody uses them. */
import { afterEach, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, grant, MINUTE } from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).reverse()) await stop();
});

const PRICE = '{ title: T, billable: true, components: [{ kind: flat, label: L, credits: 1 }] }';
const operation = (name: string) => `\n  ${name}: ${PRICE}`;

const plan = (packs: string, operations: string, changes = ''): PlanFile =>
  planIn(`
plan_id: test
title: Test
terms: {}
packs: [${packs}]
operations:${operations}
${changes}`);

const PACK = '{ pack_id: small, title: Small, credits: 20, price: 5.00 USD, validity: never }';

async function start(file: PlanFile, before?: TestService): Promise<TestService> {
  const stripe = await new StripeFake().start();
  stopping.push(() => stripe.stop());
  const service = await startTestService({
    plans: [file],
    env: stripe.env,
    ...(before && { databaseUrl: before.databaseUrl }),
  });
  stopping.push(() => service.stop());
  return service;
}

/** Opens an account with an auto top-up of the pack and 10 credits for the operation b. */
async function openAffected(scrip: TestService): Promise<string> {
  const accountId = await scrip.open('test');
  const named = () => ({ accountId, requestId: requestId() });
  await grant(scrip, accountId, 100n);
  await scrip.accounts.grantCredits({
    reason: 'a test',
    ...named(),
    credits: 10n,
    category: Grant_Category.PROMOTIONAL,
    onlyFor: { operations: ['b'] },
  });
  const terms = { packId: 'small', threshold: 20n, monthlyCap: 1, customer: 'cus_1' };
  const autoTopUp = { autoTopUp: { ...terms, paymentMethod: 'pm_1' } };
  await scrip.accounts.updateAccount({ ...named(), autoTopUp });
  return accountId;
}

const expectEvents = (scrip: TestService, accountId: string, expected: readonly unknown[]) =>
  expect
    .poll(
      async () =>
        (await eventsOf(scrip, { accountId, types: ['grant.stranded', 'top_up.disabled'] })).map(
          ({ type, data }) => [type, Object.fromEntries(data)],
        ),
      { timeout: 60_000 },
    )
    .toEqual(expected);

const STRANDED = [
  'grant.stranded',
  { grant_id: '2', remaining: '10', operations: 'b', category: 'PROMOTIONAL' },
];
const DISABLED = ['top_up.disabled', { pack_id: 'small', plan_id: 'test', reason: 'pack_removed' }];

describe('accounts that nobody uses', () => {
  test('are settled after a publication that takes their operation and their pack', async () => {
    const before = await start(plan(PACK, operation('a') + operation('b')));
    const accountId = await openAffected(before);
    await before.service.sweep();
    await expectEvents(before, accountId, []);
    const after = await start(plan('', operation('a')), before);
    await after.service.sweep();
    await expectEvents(after, accountId, [STRANDED, DISABLED]);
    // The replica that was there before learns of the publication as well, and finds nothing to do.
    await before.service.sweep();
    await expectEvents(before, accountId, [STRANDED, DISABLED]);
    expect(await balanceOf(after, accountId)).toMatchObject({
      remaining: 110n,
      available: 100n,
      usable: 100n,
      limited: [{ operations: ['b'], available: 10n, stranded: true }],
    });
    expect(await verify(after.databaseUrl, { all: true })).toMatchObject({ ok: true });
  });

  test('are settled when a dated rate card without their operation comes into force', async () => {
    const from = new Date(Date.now() + 60 * MINUTE).toISOString();
    const changes = `changes: [{ from: ${from}, operations: { a: ${PRICE} }, ends: [b] }]`;
    const scrip = await start(plan(PACK, operation('a') + operation('b'), changes));
    const accountId = await openAffected(scrip);
    await scrip.service.sweep();
    await expectEvents(scrip, accountId, []);
    scrip.advance(61 * MINUTE);
    await scrip.service.sweep();
    await expectEvents(scrip, accountId, [STRANDED]);
  });
});
