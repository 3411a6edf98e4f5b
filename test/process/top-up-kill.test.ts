/**
 * The service is killed at each point of a top-up and started again. When the lease of the killed
 * process has ended it continues: it charges once, grants once, and leaves no top-up pending.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { expectLedger } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { requestId } from '../service.ts';
import { killing } from './killing.ts';
import { end, type Replica, SOON, startReplica } from './replica.ts';

let stripe: StripeFake;
let databaseUrl: string;
let replica: Replica;
let accountId: string;

beforeAll(async () => {
  stripe = await new StripeFake().start();
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replica = await start();
});
beforeEach(() => {
  accountId = `acct-${requestId()}`;
});
afterEach(() => {
  stripe.intercept = () => undefined;
});
afterAll(async () => {
  await end(replica);
  await stripe.stop();
});

const start = () =>
  startReplica({ ...stripe.env, DATABASE_URL: databaseUrl, TOP_UP_INTERVAL_MS: '50' });

const { killAtCall, killAtWriteAfter, killOnce, killed } = killing(() => ({
  stripe,
  databaseUrl,
  replica,
  accountId,
}));

async function restartAfterLease() {
  await killed();
  await endLeases();
  replica = await start();
}

/** As if the lease of the killed process had ended: no test moves the clock of the database. */
async function endLeases() {
  await execute(
    databaseUrl,
    `update accounts set top_up_due_at = opened_at,
       top_ups = jsonb_set(top_ups, '{lease_expires_at}', '0')
     where top_ups->>'purchase_id' is not null`,
  );
}

const CREATE_INTENT = /^POST \/v1\/payment_intents$/;
const CONFIRM_INTENT = /confirm$/;
const GET_INTENT = /^GET \/v1\/payment_intents\//;

const killPoints: readonly (readonly [when: string, arrange: () => unknown])[] = [
  ['after the top-up was started', () => killAtCall(CREATE_INTENT, 'before')],
  ['after Stripe created the intent, before it answers', () => killAtCall(CREATE_INTENT, 'after')],
  ['after Stripe answered, before the intent is written', () => killAtWriteAfter(CREATE_INTENT)],
  ['after the intent was written', () => killAtCall(CONFIRM_INTENT, 'before')],
  ['after it was charged, before Stripe answers', () => killAtCall(CONFIRM_INTENT, 'after')],
  ['after it was charged, before the service reads that', () => killAtCall(GET_INTENT, 'before')],
  [
    'after the service read that it is paid, before the grant is written',
    () => killAtWriteAfter(GET_INTENT),
  ],
  ['after the grant was written', () => void killOnce("state = 'PAID'")],
];

/** Enables auto top-up for an account without credits, so that it is due at once. */
async function enableTopUp(paymentMethod = 'pm_1') {
  await replica.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  const autoTopUp = { packId: 'starter', threshold: 1n, monthlyCap: 9, customer: 'cus_1' };
  await replica.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    autoTopUp: { autoTopUp: { ...autoTopUp, paymentMethod } },
  });
}

const pendingTopUp = async () =>
  (await replica.accounts.getAccount({ accountId })).account?.topUpPurchaseId;

const states = async () =>
  (
    await execute(
      databaseUrl,
      'select state from purchases where account_id = $1 order by purchase_id',
      [accountId],
    )
  ).map(({ state }) => state);

const charges = () =>
  [...stripe.charges.values()].filter(({ metadata }) => metadata['account_id'] === accountId);

describe('a service killed during a top-up', () => {
  test.each(killPoints)('%s: charges once, grants once', async (_, arrange) => {
    arrange();
    await enableTopUp();
    await restartAfterLease();
    await expect.poll(states, SOON).toEqual(['PAID']);
    expect(await pendingTopUp()).toBe('');
    expect(charges().length).toBe(1);
    await expectLedger({ databaseUrl }, accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PURCHASE']);
  });

  test.each([
    ['before the service reads it', () => killAtCall(GET_INTENT, 'before')],
    ['before the failure is written', () => killAtWriteAfter(GET_INTENT)],
  ])('after a decline, %s: emits one event that it failed', async (_, arrange) => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    arrange();
    await enableTopUp('pm_poor');
    await restartAfterLease();
    await expect.poll(states, SOON).toEqual(['FAILED']);
    expect(await pendingTopUp()).toBe('');
    const events = await execute(
      databaseUrl,
      "select data->>'code' as code from events where account_id = $1 and type = 'top_up.failed'",
      [accountId],
    );
    expect(events).toEqual([{ code: 'insufficient_funds' }]);
    await expectLedger({ databaseUrl }, accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PAYMENT']);
  });
});
