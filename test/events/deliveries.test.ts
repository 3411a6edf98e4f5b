/** Deliveries to a real HTTP endpoint that checks their signatures. */
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Delivery, Delivery_State } from '../../src/gen/billing/v1/event_service.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import { cross, crossing, eventsOf } from './given.ts';
import { answers, Receiver, SECRET } from './receiver.ts';

/** Long enough for a busy machine: no test passes or fails by how long something takes. */
const EVENTUALLY = { timeout: 60_000, interval: 20 };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The clocks of all services stand here, so that leases and delays end only when a test says so. */
const NOW = Date.UTC(2027, 2, 10);

let receiver: Receiver;
let services: TestService[];
beforeEach(async () => {
  receiver = await new Receiver().open();
  services = [];
});
afterEach(async () => {
  await Promise.all(services.map((service) => service.stop()));
  expect(receiver.forged).toEqual([]);
  await receiver.close();
});

async function start(
  env: NonNullable<TestOptions['env']> = {},
  databaseUrl?: string,
): Promise<TestService> {
  const service = await startTestService({
    ...(databaseUrl && { databaseUrl }),
    frozenAt: NOW,
    env: { ...receiver.env, EVENTS_POLL_MS: '50', EVENTS_WEBHOOK_TIMEOUT_MS: '60000', ...env },
  });
  services.push(service);
  return service;
}

async function stop(service: TestService) {
  services = services.filter((other) => other !== service);
  await service.stop();
}

const deliveriesOf = async (scrip: TestService, accountId: string, state?: Delivery_State) =>
  (await scrip.events.listDeliveries({ accountId, ...(state && { state }) })).deliveries;

/** The one delivery of an account, once it has these properties. */
const delivery = (scrip: TestService, accountId: string, properties: Partial<Delivery>) =>
  vi.waitFor(async () => {
    const [only] = await deliveriesOf(scrip, accountId);
    expect(only).toMatchObject(properties);
    return only as Delivery;
  }, EVENTUALLY);

const received = (count: number) =>
  vi.waitFor(() => expect(receiver.received.length).toBe(count), EVENTUALLY);

/**
 * Expects that nothing is due by delivering a new event. Of a service whose concurrency is 1: it starts
 * deliveries in the order they are due, so this one would come last.
 */
async function expectNothingDue(scrip: TestService) {
  const before = receiver.received.length;
  const accountId = await crossing(scrip);
  await vi.waitFor(
    () => expect(receiver.received.at(-1)?.event.subject).toBe(accountId),
    EVENTUALLY,
  );
  expect(receiver.received.length).toBe(before + 1);
}

describe('an event is delivered', () => {
  test('as a signed CloudEvent, once, and the delivery says so', async () => {
    const scrip = await start({
      EVENTS_SOURCE: '//billing.example.com/scrip',
      EVENTS_WEBHOOK_CONCURRENCY: '1',
    });
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 1);
    await received(2);
    const [low] = await eventsOf(scrip, { accountId });
    const found = receiver.received.find(({ event }) => event.id === low?.eventId);
    expect(found?.event).toEqual({
      specversion: '1.0',
      id: low?.eventId,
      source: '//billing.example.com/scrip',
      type: 'scrip.balance.low',
      subject: accountId,
      time: low?.at?.toISOString(),
      datacontenttype: 'application/json',
      position: String(low?.position),
      ...(/[1-9a-f]/.test(low?.traceId ?? '') && {
        traceparent: `00-${low?.traceId}-${low?.spanId}-01`,
      }),
      data: { level: '500', usable: '400', threshold: '500' },
    });
    expect(found?.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': low?.eventId,
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
    await vi.waitFor(async () => {
      const [newest, oldest] = await deliveriesOf(scrip, accountId);
      expect([newest, oldest]).toMatchObject([
        { state: Delivery_State.DELIVERED },
        { event: low, state: Delivery_State.DELIVERED, attempts: 1, lastError: '' },
      ]);
      expect(newest?.nextAttemptAt).toBeUndefined();
      expect(newest?.endedAt?.getTime()).toBeGreaterThanOrEqual(
        newest?.lastAttemptAt?.getTime() ?? 0,
      );
    }, EVENTUALLY);
    scrip.advance(24 * HOUR);
    await expectNothingDue(scrip);
  });

  test('in the trace of what caused it', async () => {
    const scrip = await start();
    await stop(scrip);
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await execute(
      scrip.databaseUrl,
      `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id, sampled, data_hash, hash)
       values ('traced', gen_random_uuid(), 1, 'balance.low', now(), '{}', $1, 'b7ad6b7169203331', true, '', '')`,
      [trace],
    );
    await start({}, scrip.databaseUrl);
    await received(1);
    expect(receiver.received[0]?.event.traceparent).toBe(`00-${trace}-b7ad6b7169203331-01`);
  });

  test('signed with every secret while one takes the place of another', async () => {
    const next = `whsec_${Buffer.alloc(32, 'next').toString('base64')}`;
    const scrip = await start({ EVENTS_WEBHOOK_SECRET: `${next} ${SECRET}` });
    await crossing(scrip);
    await received(1);
    const signature = String(receiver.received[0]?.headers['webhook-signature']);
    expect(signature.split(' ').length).toBe(2);
  });

  test('also where it happened while no endpoint was configured, but not before there ever was one', async () => {
    const before = await startTestService({ frozenAt: NOW });
    await crossing(before);
    await vi.waitFor(async () => expect((await eventsOf(before)).length).toBe(1), EVENTUALLY);
    await before.stop();
    const first = await start({}, before.databaseUrl);
    const accountId = await crossing(first);
    await received(1);
    await stop(first);
    const without = await startTestService({ databaseUrl: before.databaseUrl, frozenAt: NOW });
    await cross(without, accountId, 2);
    await vi.waitFor(async () => expect((await eventsOf(without)).length).toBe(4), EVENTUALLY);
    await without.stop();
    await start({}, before.databaseUrl);
    await received(3);
    expect(receiver.received.every(({ event }) => event.subject === accountId)).toBe(true);
  });
});

describe('an endpoint that', () => {
  test('fails gets the event again after each backoff, under the same id, until it accepts it', async () => {
    receiver.answer = (response) => {
      const attempt = receiver.received.length;
      response.writeHead(attempt <= 3 ? 503 : 200).end(`attempt ${attempt}`);
    };
    const scrip = await start({ EVENTS_WEBHOOK_BACKOFF_MS: '5000' });
    const accountId = await crossing(scrip);
    for (let attempts = 1; attempts <= 3; attempts++) {
      const failed = await delivery(scrip, accountId, {
        state: Delivery_State.PENDING,
        attempts,
        lastError: `503 Service Unavailable: attempt ${attempts}`,
      });
      const delayMs = Number(failed.nextAttemptAt) - scrip.now();
      const longestMs = 5_000 * 2 ** (attempts - 1);
      expect(delayMs).toBeGreaterThanOrEqual(longestMs / 2);
      expect(delayMs).toBeLessThanOrEqual(longestMs);
      expect(receiver.received.length).toBe(attempts);
      scrip.advance(delayMs);
    }
    await delivery(scrip, accountId, {
      state: Delivery_State.DELIVERED,
      attempts: 4,
      lastError: '',
    });
    expect(receiver.received.length).toBe(4);
    expect(new Set(receiver.ids()).size).toBe(1);
  });

  test('asks for a delay with Retry-After gets the event after that delay', async () => {
    receiver.answer = answers(429, { 'retry-after': '3600' });
    const scrip = await start();
    const accountId = await crossing(scrip);
    const { nextAttemptAt } = await delivery(scrip, accountId, {
      attempts: 1,
      lastError: '429 Too Many Requests',
    });
    expect(Number(nextAttemptAt) - scrip.now()).toBe(HOUR);
  });

  test('is down gets everything once it is back', async () => {
    const scrip = await start();
    await receiver.close();
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 3);
    await vi.waitFor(async () => {
      const all = await deliveriesOf(scrip, accountId, Delivery_State.PENDING);
      expect(all.length).toBe(4);
      for (const { lastError } of all) expect(lastError).toMatch(/ECONNREFUSED|ECONNRESET/);
    }, EVENTUALLY);
    await receiver.open();
    scrip.advance(MINUTE);
    await received(4);
    expect(new Set(receiver.ids()).size).toBe(4);
  });

  test('does not answer in time has failed, and the other events follow', async () => {
    receiver.answer = () => {};
    const scrip = await start({
      EVENTS_WEBHOOK_TIMEOUT_MS: '300',
      EVENTS_WEBHOOK_CONCURRENCY: '2',
    });
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 4);
    await vi.waitFor(async () => {
      const all = await deliveriesOf(scrip, accountId);
      expect(all.map(({ lastError }) => lastError)).toEqual(Array(5).fill('no answer in time'));
    }, EVENTUALLY);
    expect(receiver.concurrency).toBeLessThanOrEqual(2);
  });

  test('does not answer holds no database connection, and no more deliveries than are allowed', async () => {
    receiver.answer = () => {};
    const scrip = await start({
      EVENTS_WEBHOOK_CONCURRENCY: '2',
      DATABASE_POOL_MAX: '2',
      SHUTDOWN_GRACE_MS: '0',
    });
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 1);
    await received(2);
    // Calls would wait for the endpoint's timeout, which is longer than that of this test.
    await cross(scrip, accountId, 15);
    expect(receiver.received.length).toBe(2);
  });

  test('sends a body without end has accepted the event by its status', async () => {
    receiver.answer = (response) => {
      response.writeHead(200);
      const writing = setInterval(() => response.write('x'.repeat(1_000)), 5);
      response.once('close', () => clearInterval(writing));
    };
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
  });

  test('redirects has not accepted the event, and the redirect is not followed', async () => {
    receiver.answer = answers(307, { location: `${receiver.url}&again` });
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, { attempts: 1, lastError: '307 Temporary Redirect' });
    expect(receiver.received.length).toBe(1);
  });
});

describe('a delivery is dead', () => {
  test('after the last attempt, and starts over when it is replayed', async () => {
    receiver.answer = (response) =>
      response.writeHead(500).end(`a\u0000b\n  no ${receiver.received.length}`);
    const scrip = await start({
      EVENTS_WEBHOOK_ATTEMPTS_MAX: '3',
      EVENTS_WEBHOOK_CONCURRENCY: '1',
    });
    const accountId = await crossing(scrip);
    for (let attempts = 1; attempts <= 2; attempts++) {
      const lastError = `500 Internal Server Error: a b no ${attempts}`;
      await delivery(scrip, accountId, { state: Delivery_State.PENDING, attempts, lastError });
      scrip.advance(MINUTE);
    }
    const dead = await delivery(scrip, accountId, {
      state: Delivery_State.DEAD,
      attempts: 3,
      lastError: '500 Internal Server Error: a b no 3',
    });
    expect(dead.nextAttemptAt).toBeUndefined();
    receiver.answer = answers(204);
    scrip.advance(24 * HOUR);
    await expectNothingDue(scrip);

    const { eventId } = dead.event!;
    const { delivery: replayed } = await scrip.events.replayDelivery({ accountId, eventId });
    expect(replayed).toMatchObject({ state: Delivery_State.PENDING, attempts: 0 });
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
    expect(receiver.ids().filter((id) => id === eventId).length).toBe(4);
  });

  test('at once where the endpoint answers that it is gone', async () => {
    receiver.answer = answers(410, {}, 'no more');
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, {
      state: Delivery_State.DEAD,
      attempts: 1,
      lastError: '410 Gone: no more',
    });
  });

  test('until it is replayed, alone or with all dead ones, of one account or of all', async () => {
    receiver.answer = answers(410);
    const scrip = await start();
    const accountIds = [await crossing(scrip), await crossing(scrip)] as const;
    await cross(scrip, accountIds[0], 2);
    const dead = async () =>
      (await scrip.events.listDeliveries({ state: Delivery_State.DEAD })).deliveries.length;
    await expect.poll(dead, EVENTUALLY).toBe(4);
    receiver.answer = answers(204);
    const [, accountId] = accountIds;
    expect(await scrip.events.replayDeadDeliveries({ accountId })).toEqual({ replayed: 1 });
    await expect.poll(dead, EVENTUALLY).toBe(3);
    expect(await scrip.events.replayDeadDeliveries({})).toEqual({ replayed: 3 });
    expect(await scrip.events.replayDeadDeliveries({})).toEqual({ replayed: 0 });
    await received(8);
  });
});

describe('operators', () => {
  test('list deliveries page by page, newest first, of one state or account or all', async () => {
    const scrip = await start();
    const accountIds = [await crossing(scrip), await crossing(scrip)] as const;
    await cross(scrip, accountIds[0], 3);
    await received(5);
    const list = scrip.events.listDeliveries;
    const positionsOf = (page: { deliveries: readonly Delivery[] }) =>
      page.deliveries.map(({ event }) => event?.position);
    const first = await list({ pageSize: 2 });
    const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await list({ pageSize: 2, pageToken: second.nextPageToken });
    expect([first, second, third].map(positionsOf)).toEqual([[5n, 4n], [3n, 2n], [1n]]);
    expect(third.nextPageToken).toBe('');
    const own = await list({ accountId: accountIds[1] });
    expect(own.deliveries.map(({ event }) => event?.accountId)).toEqual([accountIds[1]]);
    await expect
      .poll(async () => positionsOf(await list({ state: Delivery_State.DELIVERED })), EVENTUALLY)
      .toEqual([5n, 4n, 3n, 2n, 1n]);
    expect((await list({ state: Delivery_State.PENDING })).deliveries).toEqual([]);
    expect(
      await errorOf(list({ accountId: accountIds[0], pageToken: first.nextPageToken })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['page_token'] });
  });

  test('replay a delivery that was delivered', async () => {
    const scrip = await start();
    const accountId = await crossing(scrip);
    const { event } = await delivery(scrip, accountId, { state: Delivery_State.DELIVERED });
    const eventId = event!.eventId.toUpperCase();
    await scrip.events.replayDelivery({ accountId, eventId });
    await received(2);
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
  });

  test('are refused an unknown delivery, and invalid fields', async () => {
    const scrip = await start();
    const accountId = await crossing(scrip);
    const eventId = '01900000-0000-7000-8000-000000000000';
    expect(await errorOf(scrip.events.replayDelivery({ accountId, eventId }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'DELIVERY_NOT_FOUND',
      metadata: { account_id: accountId, event_id: eventId },
    });
    const wrong = { accountId: '', eventId: '7' };
    expect(await errorOf(scrip.events.replayDelivery(wrong))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['account_id', 'event_id'],
    });
    expect(
      await errorOf(scrip.events.listDeliveries({ state: 9 as Delivery_State })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['state'] });
    const ofNobody = { accountId: 'a b' };
    expect(await errorOf(scrip.events.replayDeadDeliveries(ofNobody))).toMatchObject({
      fields: ['account_id'],
    });
  });
});

describe('replicas', () => {
  test('share the deliveries: each event is delivered once, within the limits of both', async () => {
    const CONCURRENCY = 3;
    const EVENTS = 84;
    // No delivery ends before both replicas have as many in progress as they may.
    const full = Promise.withResolvers<void>();
    receiver.answer = async (response) => {
      if (receiver.concurrency === 2 * CONCURRENCY) full.resolve();
      await full.promise;
      response.writeHead(204).end();
    };
    const env = { EVENTS_WEBHOOK_CONCURRENCY: String(CONCURRENCY) };
    const a = await start(env);
    const b = await start(env, a.databaseUrl);
    const accountIds = await Promise.all([crossing(a), crossing(b), crossing(a), crossing(b)]);
    await Promise.all(accountIds.map((id, index) => cross(index % 2 ? a : b, id, EVENTS / 4 - 1)));
    await vi.waitFor(async () => {
      const [row] = await execute(
        a.databaseUrl,
        `select count(*)::int as count from deliveries where state = 'DELIVERED'`,
      );
      expect(row).toEqual({ count: EVENTS });
    }, EVENTUALLY);
    expect(receiver.received.length).toBe(EVENTS);
    expect(new Set(receiver.ids()).size).toBe(EVENTS);
    expect(receiver.concurrency).toBe(2 * CONCURRENCY);
  });

  test('that stop wait for the deliveries in progress', async () => {
    const released = Promise.withResolvers<void>();
    receiver.answer = async (response) => {
      await released.promise;
      response.writeHead(204).end();
    };
    const scrip = await start({ SHUTDOWN_GRACE_MS: '60000' });
    const accountId = await crossing(scrip);
    await received(1);
    const stopped = stop(scrip);
    released.resolve();
    await stopped;
    const [row] = await execute(
      scrip.databaseUrl,
      'select state from deliveries where account_id = $1',
      [accountId],
    );
    expect(row).toEqual({ state: 'DELIVERED' });
  });

  test('that must stop before the endpoint answers give the delivery back', async () => {
    receiver.answer = () => {};
    // The endpoint's timeout is longer than that of this test: a replica that waited for it would fail.
    const scrip = await start({ SHUTDOWN_GRACE_MS: '100' });
    const accountId = await crossing(scrip);
    await received(1);
    await stop(scrip);
    receiver.answer = answers(204);
    const other = await start({}, scrip.databaseUrl);
    await delivery(other, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
    expect(receiver.received.length).toBe(2);
    expect(new Set(receiver.ids()).size).toBe(1);
  });
});
