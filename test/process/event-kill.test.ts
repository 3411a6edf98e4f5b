/** A replica is killed while it writes and delivers events: no event is lost. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { accepts, Receiver } from '../events/receiver.ts';
import { createDatabase, execute } from '../postgres.ts';
import { end, type Replica, SOON, startReplica } from './replica.ts';

let receiver: Receiver;
let databaseUrl: string;
let replicas: Replica[] = [];

beforeAll(async () => {
  receiver = await new Receiver().open();
  databaseUrl = await createDatabase(inject('postgresUrl'));
});
afterEach(async () => {
  await Promise.all(replicas.map(end));
  replicas = [];
});
afterAll(() => receiver.close());

async function start(): Promise<Replica> {
  const replica = await startReplica({
    DATABASE_URL: databaseUrl,
    ...receiver.env,
    EVENTS_WEBHOOK_TIMEOUT_MS: '500',
    EVENTS_WEBHOOK_BACKOFF_MS: '100',
  });
  replicas.push(replica);
  return replica;
}

/** Uses all credits and gets one again until the replica is killed; returns how many crossings were acknowledged. */
async function crossLevelsUntilKilled({ billing, accounts }: Replica): Promise<number> {
  const accountId = `killed-${randomUUID()}`;
  const named = () => ({ accountId, requestId: randomUUID() });
  const category = Grant_Category.ADJUSTMENT;
  await accounts.openAccount({ ...named(), planId: 'verts' });
  for (let acknowledged = 0; ; ) {
    try {
      await accounts.grantCredits({ reason: 'a test', ...named(), credits: 1n, category });
      acknowledged += 1;
      await billing.charge({ ...named(), credits: 1n });
      acknowledged += 1;
    } catch {
      return acknowledged;
    }
  }
}

test('every event reaches the endpoint under one id, although its replica is killed three times', async () => {
  let acknowledged = 0;
  // Before the endpoint answers a delivery, right after it answered one, and at a random moment.
  const killAfterDeliveries = [3, 9, 21];
  for (const [kill, deliveries] of killAfterDeliveries.entries()) {
    const replica = await start();
    const enough = receiver.received.length + deliveries;
    receiver.answer = (response, received) => {
      if (receiver.received.length === enough && kill === 0) return; // Never answered.
      accepts(response, received);
    };
    const crossing = crossLevelsUntilKilled(replica);
    while (receiver.received.length < enough) await sleep(1);
    if (kill === 2) await sleep(Math.random() * 50);
    await replica.signal('SIGKILL');
    acknowledged += await crossing;
  }
  receiver.answer = accepts;
  await start();
  await vi.waitFor(
    async () => {
      const [left] = await execute(
        databaseUrl,
        `select count(*)::int as events, count(d.event_id)::int as delivered
         from events left join deliveries d using (account_id, event_id)
         where d.state is null or d.state = 'DELIVERED'`,
      );
      const [all] = await execute(databaseUrl, 'select count(*)::int as events from events');
      expect(left).toEqual({ events: all?.['events'], delivered: all?.['events'] });
    },
    { ...SOON, interval: 250 },
  );
  const rows = await execute(
    databaseUrl,
    'select event_id, position from events order by position',
  );
  expect(rows.length).toBeGreaterThanOrEqual(acknowledged);
  expect(rows.map(({ position }) => Number(position))).toEqual(rows.map((_, index) => index + 1));
  const ids = receiver.ids();
  expect(new Set(ids)).toEqual(new Set(rows.map(({ event_id }) => event_id)));
  expect(ids.length).toBeGreaterThan(rows.length); // The unanswered delivery was repeated.
  expect(receiver.forged).toEqual([]);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});
