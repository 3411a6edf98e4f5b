/** A replica that was not started again with CELLS_FILE, and takes the database of a cell for the whole ledger. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { healthOf } from '../health.ts';
import { buyByCheckout, purchaseNow } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

const SLOTS = Array.from({ length: 100 }, (_, slot) => slot);

let two: TwoLedgers;
let forgotten: TestService;
let stripe: StripeFake;
const [moved, staying] = [idInSlots(0, 99), idInSlots(100, 4_095)];
beforeAll(async () => {
  two = await startTwoLedgers();
  stripe = await new StripeFake().start();
  const { env } = stripe;
  forgotten = await startTestService({
    ...{ databaseUrl: two.cells[0].url, publishesNothing: true, env },
  });
  for (const accountId of [moved, staying])
    await forgotten.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
});
afterAll(async () => {
  await forgotten?.stop();
  await stripe?.stop();
  await two?.stop();
});

const move = async (from: string, to: string) => {
  await moveSlots({ cells: two.cells, from, to, slots: SLOTS, map: await two.map() });
  await forgotten.service.probeDatabase();
};

const isServed = async () => {
  for (const accountId of [moved, staying]) await forgotten.billing.getBalance({ accountId });
  const { accounts } = await forgotten.accounts.listAccounts({});
  expect(accounts).toHaveLength(2);
  expect(await healthOf(forgotten)).toBe('SERVING');
};

test('it serves the ledger as long as the other cell has none of it', async () => {
  await forgotten.service.probeDatabase();
  await isServed();
});

test('it answers nothing once accounts have left, and serves again when they are back', async () => {
  await move('old', 'new');
  const refused = { reason: 'DATABASE_UNAVAILABLE' };
  for (const accountId of [moved, staying])
    expect(await errorOf(forgotten.billing.getBalance({ accountId }))).toMatchObject(refused);
  expect(await errorOf(forgotten.accounts.listAccounts({}))).toMatchObject(refused);
  expect(await healthOf(forgotten)).toBe('NOT_SERVING');
  await move('new', 'old');
  await isServed();
});

test('it postpones webhooks of payments: the purchase may have left', async () => {
  const { purchaseId } = await buyByCheckout(forgotten, moved);
  const session = stripe.pay(stripe.sessionOf(purchaseId).id);
  const paid = stripe.event('checkout.session.completed', session);
  const intent = stripe.addIntent(2_000, 'usd', {});
  stripe.confirm(intent, 'succeeded');
  // Of a payment that another system made: it does not say whose it is.
  const refunded = stripe.event('charge.refunded', stripe.refund(intent.id, 500));
  const arrive = async () => [
    await deliver(forgotten.service.webhookPort, paid),
    await deliver(forgotten.service.webhookPort, refunded),
  ];
  await move('old', 'new');
  expect(await arrive()).toEqual([503, 503]);
  await move('new', 'old');
  expect(await arrive()).toEqual([200, 200]);
  expect(await purchaseNow(forgotten, { accountId: moved, purchaseId })).toMatchObject({
    state: Purchase_State.PAID,
  });
});

test('its streams end once accounts have left', async () => {
  const { billing, events } = forgotten;
  const follow = true;
  // Each has something to show: the purchase was an event.
  const streams = [
    billing.streamHistory({ accountId: moved, follow }),
    billing.streamHistory({ accountId: staying, follow }),
    events.streamEvents({ accountId: moved, follow }),
    events.streamEvents({ follow }),
  ];
  await Promise.all(streams.map((stream) => stream.next()));
  const ends = streams.map((stream) =>
    errorOf(
      (async () => {
        while (!(await stream.next()).done);
      })(),
    ),
  );
  await move('old', 'new');
  for (const end of ends) expect(await end).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  await move('new', 'old');
  await isServed();
});
