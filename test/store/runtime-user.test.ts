/** A service whose database user has the role `scrip_runtime` and nothing else. */
import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { publishAt } from '../../src/plan-publication.ts';
import { verify } from '../../src/verify/verify.ts';
import { Receiver } from '../events/receiver.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { callEveryRpc, RPCS } from '../production/every-rpc.ts';
import { plansOfDeploy, startTestService } from '../service.ts';
import { PLANS, startSampleService, writeSampleLedger } from '../verify/sample-ledger.ts';

/** The URL of a new user for a database. */
async function createUser(databaseUrl: string): Promise<string> {
  const user = `user_${randomUUID().replaceAll('-', '')}`;
  await execute(databaseUrl, `create role ${user} login password 'x' in role scrip_runtime`);
  const url = new URL(databaseUrl);
  url.username = user;
  url.password = 'x';
  return url.href;
}

test('it carries out every kind of mutation, sweeps, top-ups, webhooks and deliveries', async () => {
  const ownersUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(ownersUrl, PLANS, Date.now());
  const receiver = await new Receiver().open();
  const scrip = await startSampleService({
    databaseUrl: await createUser(ownersUrl),
    publishesNothing: true,
    env: receiver.env,
  });
  await writeSampleLedger(scrip);
  await expect.poll(() => receiver.received.length, { timeout: 60_000 }).toBeGreaterThan(20);
  await scrip.stop();
  await receiver.close();
  expect(await verify(ownersUrl)).toMatchObject({ ok: true, accounts: 12 });
});

test('it answers every RPC', async () => {
  const ownersUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(ownersUrl, await plansOfDeploy(), Date.now());
  const stripe = await new StripeFake().start();
  const scrip = await startTestService({
    databaseUrl: await createUser(ownersUrl),
    publishesNothing: true,
    env: {
      ...stripe.env,
      PURCHASE_CHECK_INTERVAL_MS: '100',
      EVENTS_WEBHOOK_URL: 'http://127.0.0.1:1/nobody-listens',
      EVENTS_WEBHOOK_SECRET: `whsec_${'a'.repeat(32)}`,
      EVENTS_WEBHOOK_ATTEMPTS_MAX: '1',
    },
  });
  const called = new Set<string>();
  await callEveryRpc(scrip, called, (purchaseId) => {
    stripe.payOther(stripe.sessionOf(purchaseId).id, 100);
    scrip.advance(120_000); // the payment provider is asked again
  });
  expect([...called].toSorted()).toEqual(RPCS.toSorted());
  await scrip.stop();
  await stripe.stop();
  expect(await verify(ownersUrl)).toMatchObject({ ok: true });
});
