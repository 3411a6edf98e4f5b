/** Top-ups through the RPCs, the lanes and the database; nothing is charged. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { AutoTopUp } from '../../src/gen/billing/v1/account_service.ts';
import type { PaymentSnapshot } from '../../src/ledger/purchase.ts';
import { PENDING_SNAPSHOT } from '../../src/payments/payment-snapshot.ts';
import { findDueAccounts } from '../../src/queries/due-accounts.ts';
import { verify } from '../../src/verify/verify.ts';
import { openWithCredits, storedRows } from '../accounts.ts';
import { dataOf, eventsOf } from '../events/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type OtherReplica, startOtherReplica } from './other-replica.ts';

const HOUR = 3_600_000;
const TRACE = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  sampled: false,
};

let stripe: StripeFake;
let scrip: TestService;
/** As the worker of another replica has it. */
let replica: OtherReplica;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  replica = await startOtherReplica(scrip);
});
afterAll(async () => {
  await replica.stop();
  await scrip.stop();
  await stripe.stop();
});

const SETTING = {
  packId: 'starter',
  threshold: 500n,
  onRefusal: false,
  coolDown: { seconds: 7_200n, nanos: 0 },
  monthlyCap: 2,
  customer: 'cus_1',
  paymentMethod: 'pm_1',
} satisfies AutoTopUp;

const set = async (accountId: string, autoTopUp?: Partial<AutoTopUp>) =>
  (
    await scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      autoTopUp: autoTopUp ? { autoTopUp } : {},
    })
  ).account;

const get = async (accountId: string) => (await scrip.accounts.getAccount({ accountId })).account;

const statesOf = async (accountId: string) =>
  (
    await execute(
      scrip.databaseUrl,
      'select state from purchases where account_id = $1 order by purchase_id',
      [accountId],
    )
  ).map(({ state }) => state);

const due = () => findDueAccounts(replica.em(), 'top_up_due_at', scrip.now(), 100);

async function start(accountId: string): Promise<string | null> {
  const outcome = await replica.lanes.execute(accountId, { kind: 'StartTopUp' }, TRACE);
  if (outcome instanceof Failure) throw outcome;
  return outcome.purchaseId;
}

const end = (accountId: string, purchaseId: string, code: string) =>
  replica.lanes.execute(accountId, { kind: 'EndTopUp', purchaseId, code }, TRACE);

const usd = (amount: string) => ({ currency: 'USD', amount });

/** Applies what the payment provider says. */
const see = (accountId: string, purchaseId: string, seen: Partial<PaymentSnapshot>) => {
  const snapshot = { ...PENDING_SNAPSHOT, paymentIntentId: `pi_${purchaseId}`, ...seen };
  const command = { kind: 'SyncPurchase', purchaseId, syncVersion: 0, snapshot } as const;
  return replica.lanes.execute(accountId, command, TRACE);
};

describe('UpdateAccount', () => {
  test('switches auto top-up on, returns it, leaves it unchanged, and switches it off', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    expect((await get(accountId))?.autoTopUp).toBeUndefined();
    expect(await set(accountId, SETTING)).toMatchObject({ autoTopUp: SETTING });
    await scrip.accounts.updateAccount({ accountId, requestId: requestId(), displayName: 'Acme' });
    expect(await get(accountId)).toMatchObject({ autoTopUp: SETTING, displayName: 'Acme' });
    const { coolDown: _, ...withoutCoolDown } = SETTING;
    await set(accountId, withoutCoolDown);
    expect((await get(accountId))?.autoTopUp?.coolDown).toEqual({ seconds: 3_600n, nanos: 0 });
    await set(accountId);
    expect((await get(accountId))?.autoTopUp).toBeUndefined();
  });

  test('refuses all missing and out-of-range fields in one error, and changes nothing', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const before = await storedRows(scrip, accountId);
    const wrong = { coolDown: { seconds: 59n, nanos: 0 }, monthlyCap: 1_001 };
    expect(await errorOf(set(accountId, wrong))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: [
        'monthly_cap',
        'pack_id',
        'threshold',
        'cool_down',
        'customer',
        'payment_method',
      ].map((field) => `auto_top_up.auto_top_up.${field}`),
    });
    expect(await errorOf(set(accountId, { ...SETTING, packId: 'popular' }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'PACK_NOT_FOUND',
      metadata: { pack_id: 'popular', plan_id: 'verts' },
    });
    expect(await errorOf(set(accountId, { ...SETTING, threshold: 2_001n }))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['auto_top_up.auto_top_up.threshold'],
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
  });
});

describe('auto top-up is refused', () => {
  test('without a payment provider, but switching it off and replays are not', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const request = { accountId, requestId: requestId(), autoTopUp: { autoTopUp: SETTING } };
    const first = await scrip.accounts.updateAccount(request);
    const without = await startTestService({ databaseUrl: scrip.databaseUrl });
    try {
      expect(await without.accounts.updateAccount(request)).toMatchObject({ ...first, replay: {} });
      const before = await storedRows(scrip, accountId);
      const again = { ...request, requestId: requestId() };
      const refused = {
        code: status.FAILED_PRECONDITION,
        reason: 'CHECKOUT_NOT_CONFIGURED',
      };
      expect(await errorOf(without.accounts.updateAccount(again))).toMatchObject(refused);
      const { results } = await without.billing.batch({
        mutations: [{ mutation: { $case: 'updateAccount', value: again } }],
      });
      expect(results[0]?.result).toMatchObject({ value: { reason: refused.reason } });
      expect(await storedRows(scrip, accountId)).toBe(before);
      await without.accounts.updateAccount({ ...again, autoTopUp: {} });
      expect((await get(accountId))?.autoTopUp).toBeUndefined();
    } finally {
      await without.stop();
    }
  });
});

describe('auto top-up is switched off', () => {
  test('by MoveAccount to a plan without its pack, with an event', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await set(accountId, SETTING);
    const moved = { accountId, requestId: requestId(), planId: 'aspose-cloud', reason: 'a test' };
    expect((await scrip.accounts.moveAccount(moved)).account?.autoTopUp).toBeUndefined();
    const types = ['top_up.disabled'];
    await expect
      .poll(async () => (await eventsOf(scrip, { accountId, types })).map(dataOf))
      .toMatchObject([{ pack_id: 'starter', plan_id: 'aspose-cloud', reason: 'pack_removed' }]);
  });
});

describe('a top-up', () => {
  test('is due when a call takes the balance below the threshold, until it is started', async () => {
    const accountId = await openWithCredits(scrip, 500n);
    await set(accountId, SETTING);
    expect(await due()).not.toContain(accountId);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    expect(await due()).toContain(accountId);
    const purchaseId = await start(accountId);
    expect(await due()).not.toContain(accountId);
    expect(await get(accountId)).toMatchObject({ topUpPurchaseId: purchaseId });
    const [purchase] = await execute(
      scrip.databaseUrl,
      'select purchase_id, pack_id, credits, state from purchases where account_id = $1',
      [accountId],
    );
    expect(purchase).toEqual({
      purchase_id: purchaseId,
      pack_id: 'starter',
      credits: '1000',
      state: 'PENDING',
    });
  });

  test('is started once by workers that try at the same time', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await set(accountId, SETTING);
    const started = await Promise.all(Array.from({ length: 8 }, () => start(accountId)));
    expect(started.filter((purchaseId) => purchaseId !== null).length).toBe(1);
  });

  test('that was not ended is due again, as the same purchase', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await set(accountId, SETTING);
    const purchaseId = await start(accountId);
    expect(await start(accountId)).toBeNull();
    scrip.advance(6 * 60_000);
    expect(await due()).toContain(accountId);
    expect(await start(accountId)).toBe(purchaseId);
  });

  test('is due again later if it is declined, and is over when it is paid', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await set(accountId, SETTING);
    const first = (await start(accountId)) ?? '';
    await end(accountId, first, 'card_declined');
    // Repeated by a worker that was taken for lost: it has ended once already.
    await end(accountId, first, 'card_declined');
    const declined = await get(accountId);
    expect(declined).toMatchObject({ topUpPurchaseId: '' });
    const retryMs = Number(declined?.topUpDueAt) - scrip.now();
    // The cool-down of two hours is longer than the first back-off of one.
    expect(retryMs).toBeGreaterThan(HOUR);
    expect(await start(accountId)).toBeNull();
    await expect
      .poll(async () => (await eventsOf(scrip, { accountId, types: ['top_up.failed'] })).length)
      .toBe(1);
    const [failed] = await eventsOf(scrip, { accountId, types: ['top_up.failed'] });
    expect(failed?.traceId).toBe(TRACE.traceId);
    expect(failed && dataOf(failed)).toMatchObject({
      purchase_id: first,
      pack_id: 'starter',
      code: 'card_declined',
    });
    expect(Date.parse(failed?.data.get('next_attempt_at') ?? '')).toBeGreaterThan(scrip.now());

    scrip.advance(2 * HOUR);
    const second = (await start(accountId)) ?? '';
    expect(second).not.toBe(first);
    await see(accountId, second, { payment: 'PAID', amountPaid: usd('5.00') });
    expect(await get(accountId)).toMatchObject({ topUpPurchaseId: '' });
    expect((await get(accountId))?.topUpDueAt).toBeUndefined();
    expect(await statesOf(accountId)).toEqual(['FAILED', 'PAID']);
  });

  test('buys a custom pack', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    const packId = 'negotiated';
    expect((await errorOf(set(accountId, { ...SETTING, packId }))).reason).toBe('PACK_NOT_FOUND');
    await scrip.accounts.offerPack({
      accountId,
      requestId: requestId(),
      pack: {
        packId,
        title: 'Negotiated',
        credits: 7_000n,
        price: { currency: 'USD', amount: '30.00' },
      },
    });
    await set(accountId, { ...SETTING, packId });
    const purchaseId = (await start(accountId)) ?? '';
    await see(accountId, purchaseId, { payment: 'PAID', amountPaid: usd('30.00') });
    expect((await scrip.billing.getBalance({ accountId })).balance?.available).toBe(7_001n);
  });

  test('leaves a ledger that verifies', async () => {
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  });
});
