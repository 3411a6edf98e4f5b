/** Accounts that are imported into two cells: their sums, and payments that the provider refunds. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Grant_Category, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { startTestService, type TestService } from '../service.ts';
import { publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

const NOW = Date.UTC(2026, 10, 20);
/** As `DatabaseProbe` has it: failures in a row after which a database counts as unreachable. */
const FAILURES = 3;
const PAID_AT = new Date(Date.UTC(2026, 1, 1));

let two: TwoCells;
let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two, null, NOW);
  stripe = await new StripeFake().start();
  scrip = await startTestService({
    installation: two.installation,
    frozenAt: NOW,
    env: stripe.env,
  });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await scrip?.stop();
  await stripe?.stop();
  await two?.stop();
});

/** Imports an account that has bought a pack for 20.00, and returns its payment. */
async function importBuyer(accountId: string) {
  const intent = stripe.addIntent(2_000, 'usd', {});
  stripe.confirm(intent, 'succeeded');
  const paymentIntentId = intent.id;
  const order = { packId: 'prepaid-1000', credits: 1_000n, paidAt: PAID_AT, spent: 400n };
  const price = { currency: 'USD', amount: '20.00' };
  const source = Grant_Source.OPERATOR;
  const category = Grant_Category.PROMOTIONAL;
  await scrip.accounts.importAccount({
    accountId,
    requestId: `import-${accountId}`,
    planId: 'aspose-cloud',
    openedAt: new Date(Date.UTC(2025, 2, 5)),
    system: 'billing-v1',
    grants: [{ source, category, credits: 50n, effectiveAt: PAID_AT }],
    purchases: [{ ...order, price, paymentReference: 'order-1', paymentIntentId }],
  });
  return paymentIntentId;
}

test('SumImports adds up what both cells have of a plan', async () => {
  const accountIds = [two.idIn('one'), two.idIn('two'), two.idIn('two')];
  for (const accountId of accountIds) await importBuyer(accountId);
  const { sums } = await scrip.accounts.sumImports({ accountIds });
  expect(sums).toMatchObject([
    {
      planId: 'aspose-cloud',
      accounts: 3n,
      grants: 3n,
      purchases: 3n,
      granted: 3_150n,
      spent: 1_200n,
      paid: [{ currency: 'USD', amount: '60.00' }],
    },
  ]);
});

test('a refund waits while a cell is down: the purchase can be there', async () => {
  const accountId = two.idIn('two');
  const paymentIntentId = await importBuyer(accountId);
  const refunded = stripe.event('charge.refunded', stripe.refund(paymentIntentId, 500));
  await two.network.close();
  try {
    for (let failure = 0; failure < FAILURES; failure++) await scrip.service.probeDatabase();
    expect(await deliver(scrip.service.webhookPort, refunded)).toBe(503);
  } finally {
    await two.network.open();
  }
  await scrip.service.probeDatabase();
  expect(await deliver(scrip.service.webhookPort, refunded)).toBe(200);
  const { purchases } = await scrip.billing.listPurchases({ accountId });
  expect(purchases).toMatchObject([{ creditsClawedBack: 250n }]);
});

test.each(['one', 'two'])(
  'a refund finds the purchase that was imported into cell %s',
  async (cell) => {
    const accountId = two.idIn(cell);
    const paymentIntentId = await importBuyer(accountId);
    const refunded = stripe.event('charge.refunded', stripe.refund(paymentIntentId, 500));
    expect(await deliver(scrip.service.webhookPort, refunded)).toBe(200);
    const { purchases } = await scrip.billing.listPurchases({ accountId });
    expect(purchases).toMatchObject([{ creditsClawedBack: 250n, remaining: 350n }]);
  },
);
