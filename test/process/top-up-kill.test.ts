/**
 * The service is killed between any two steps of a top-up and started again: it goes on when the one
 * that was killed is taken for lost, charges once, grants once, and leaves nothing under way.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { TOP_UP_LEASE_MS } from '../../src/ledger/top-up.ts';
import { expectBooks } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { requestId } from '../service.ts';
import { killing } from './killing.ts';
import { end, type Replica, startReplica } from './replica.ts';

const SOON = { timeout: 30_000, interval: 50 };

let stripe: StripeFake;
let databaseUrl: string;
let replica: Replica;
let accountId: string;
/** How far the clock of the next process is ahead. */
let aheadMs = 0;

beforeAll(async () => {
  stripe = await new StripeFake().start();
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replica = await start();
});
beforeEach(() => {
  accountId = `acct-${requestId()}`;
});
afterEach(() => {
  stripe.meddle = () => undefined;
});
afterAll(async () => {
  await end(replica);
  await stripe.stop();
});

/** A process whose clock shows a later time. */
const start = () =>
  startReplica({ ...stripe.env, DATABASE_URL: databaseUrl, TOP_UP_INTERVAL_MS: '50' }, [
    `data:text/javascript,const now = Date.now; Date.now = () => now() + ${aheadMs}`,
  ]);

const { killAtCall, killAtWriteAfter, killOnce, killed } = killing(() => ({
  stripe,
  databaseUrl,
  replica,
  accountId,
}));

async function startAgainLater() {
  await killed();
  aheadMs += TOP_UP_LEASE_MS;
  replica = await start();
}

const MAKES = /^POST \/v1\/payment_intents$/;
const CHARGES = /confirm$/;
const LOOKS = /^GET \/v1\/payment_intents\//;

const steps: readonly (readonly [name: string, arrange: () => unknown])[] = [
  ['after the top-up was started', () => killAtCall(MAKES, 'before')],
  ['after the intent was made, before Stripe answers', () => killAtCall(MAKES, 'after')],
  ['after Stripe answered, before the intent is written', () => killAtWriteAfter(MAKES)],
  ['after the intent was written', () => killAtCall(CHARGES, 'before')],
  ['after it was charged, before Stripe answers', () => killAtCall(CHARGES, 'after')],
  ['after it was charged, before anyone looks', () => killAtCall(LOOKS, 'before')],
  ['after Stripe was seen to be paid, before the grant is written', () => killAtWriteAfter(LOOKS)],
  ['after the grant was written', () => void killOnce("state = 'PAID'")],
];

/** Switches auto top-up on for an account that has nothing: it is due at once. */
async function switchOn(paymentMethod = 'pm_1') {
  await replica.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  const autoTopUp = { packId: 'starter', threshold: 1n, monthlyCap: 9, customer: 'cus_1' };
  await replica.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    autoTopUp: { autoTopUp: { ...autoTopUp, paymentMethod } },
  });
}

const underWay = async () =>
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

describe('a service killed while it tops up', () => {
  test.each(steps)('%s charges once', async (_, arrange) => {
    arrange();
    await switchOn();
    await startAgainLater();
    await expect.poll(states, SOON).toEqual(['PAID']);
    expect(await underWay()).toBe('');
    expect(charges().length).toBe(1);
    await expectBooks({ databaseUrl }, accountId, ['PURCHASE']);
  });

  test.each([
    ['before anyone looks', () => killAtCall(LOOKS, 'before')],
    ['before the end is written', () => killAtWriteAfter(LOOKS)],
  ])('after a decline, %s, says once that it failed', async (_, arrange) => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    arrange();
    await switchOn('pm_poor');
    await startAgainLater();
    await expect.poll(states, SOON).toEqual(['FAILED']);
    expect(await underWay()).toBe('');
    const told = await execute(
      databaseUrl,
      "select data->>'code' as code from events where account_id = $1 and type = 'top_up.failed'",
      [accountId],
    );
    expect(told).toEqual([{ code: 'insufficient_funds' }]);
    await expectBooks({ databaseUrl }, accountId, []);
  });
});
