/** Deliveries to a real HTTP endpoint that checks their signatures. */
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Delivery, Delivery_State } from '../../src/gen/billing/v1/event_service.ts';
import { execute } from '../postgres.ts';
import { faultOf } from '../rpc/fault.ts';
import { requestId, startTestService, type TestOptions, type TestService } from '../service.ts';
import { cross, crossing, eventsOf } from './given.ts';
import { answers, Receiver, SECRET } from './receiver.ts';

const SOON = { timeout: 10_000, interval: 20 };
const MINUTE = 60_000;

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
    env: { ...receiver.env, EVENTS_POLL_MS: '50', EVENTS_WEBHOOK_TIMEOUT_MS: '2000', ...env },
  });
  services.push(service);
  return service;
}

const deliveriesOf = async (scrip: TestService, accountId: string, state?: Delivery_State) =>
  (await scrip.events.listDeliveries({ accountId, ...(state && { state }) })).deliveries;

/** The one delivery of an account, once it is as the test wants it. */
const delivery = (scrip: TestService, accountId: string, like: Partial<Delivery>) =>
  vi.waitFor(async () => {
    const [only] = await deliveriesOf(scrip, accountId);
    expect(only).toMatchObject(like);
    return only as Delivery;
  }, SOON);

const received = (count: number) =>
  vi.waitFor(() => expect(receiver.received.length).toBe(count), SOON);

/** Another attempt is made as soon as its time has come: time is let pass until it is. */
const untilReceived = (scrip: TestService, count: number, stepMs = MINUTE) =>
  vi.waitFor(
    () => {
      if (receiver.received.length < count) scrip.advance(stepMs);
      expect(receiver.received.length).toBe(count);
    },
    { timeout: 20_000, interval: 150 },
  );

describe('an event is delivered', () => {
  test('as a signed CloudEvent, once, and the delivery says so', async () => {
    const scrip = await start({ EVENTS_SOURCE: '//billing.example.com/scrip' });
    const accountId = await crossing(scrip);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 7n });
    await received(2);
    const [, low] = await eventsOf(scrip, { accountId });
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
      data: { available: '993', threshold: '1000' },
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
        { event: low, state: Delivery_State.DELIVERED, attempts: 1, lastError: '' },
        { state: Delivery_State.DELIVERED },
      ]);
      expect(newest?.nextAttemptAt).toBeUndefined();
      expect(newest?.endedAt?.getTime()).toBeGreaterThanOrEqual(
        newest?.lastAttemptAt?.getTime() ?? 0,
      );
    }, SOON);
    scrip.advance(24 * 60 * MINUTE);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(receiver.received.length).toBe(2);
  });

  test('in the trace of what caused it', async () => {
    const scrip = await start();
    await scrip.stop();
    services.pop();
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await execute(
      scrip.databaseUrl,
      `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id)
       values ('traced', gen_random_uuid(), 1, 'balance.low', now(), '{}', $1, 'b7ad6b7169203331')`,
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
    const before = await startTestService();
    await crossing(before);
    await vi.waitFor(async () => expect((await eventsOf(before)).length).toBe(1));
    await before.stop();
    const first = await start({}, before.databaseUrl);
    const accountId = await crossing(first);
    await received(1);
    await first.stop();
    services.pop();
    const without = await startTestService({ databaseUrl: before.databaseUrl });
    await cross(without, accountId, 2);
    await vi.waitFor(async () => expect((await eventsOf(without)).length).toBe(4));
    await without.stop();
    await start({}, before.databaseUrl);
    await received(3);
    expect(receiver.received.every(({ event }) => event.subject === accountId)).toBe(true);
  });
});

describe('an endpoint that', () => {
  test('fails gets the event again after a while, under the same id, until it takes it', async () => {
    let failures = 3;
    receiver.answer = (response) => {
      failures -= 1;
      response.writeHead(failures >= 0 ? 503 : 200).end('not now');
    };
    const scrip = await start();
    const accountId = await crossing(scrip);
    await received(1);
    const failed = await delivery(scrip, accountId, {
      state: Delivery_State.PENDING,
      attempts: 1,
      lastError: '503 Service Unavailable: not now',
    });
    const delayMs = Number(failed.nextAttemptAt) - scrip.now();
    expect(delayMs).toBeGreaterThan(1_000);
    expect(delayMs).toBeLessThanOrEqual(5_000);
    await untilReceived(scrip, 4);
    await delivery(scrip, accountId, {
      state: Delivery_State.DELIVERED,
      attempts: 4,
      lastError: '',
    });
    expect(new Set(receiver.ids()).size).toBe(1);
  });

  test('asks for time with Retry-After is given it', async () => {
    receiver.answer = answers(429, { 'retry-after': '3600' });
    const scrip = await start();
    const accountId = await crossing(scrip);
    await received(1);
    const { nextAttemptAt } = await delivery(scrip, accountId, {
      attempts: 1,
      lastError: '429 Too Many Requests',
    });
    const delayMs = Number(nextAttemptAt) - scrip.now();
    expect(delayMs).toBeGreaterThan(59 * MINUTE);
    expect(delayMs).toBeLessThanOrEqual(60 * MINUTE);
  });

  test('is down is tried again, and gets everything once it is back', async () => {
    const scrip = await start();
    await receiver.close();
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 3);
    await vi.waitFor(async () => {
      const all = await deliveriesOf(scrip, accountId, Delivery_State.PENDING);
      expect(all.length).toBe(4);
      for (const { lastError } of all) expect(lastError).toMatch(/ECONNREFUSED|ECONNRESET/);
    }, SOON);
    await receiver.open();
    await untilReceived(scrip, 4);
    expect(new Set(receiver.ids()).size).toBe(4);
  });

  test('does not answer is given up in time, and holds back neither calls nor other events for long', async () => {
    receiver.answer = () => {};
    const scrip = await start({
      EVENTS_WEBHOOK_TIMEOUT_MS: '300',
      EVENTS_WEBHOOK_CONCURRENCY: '2',
      DATABASE_POOL_MAX: '3',
    });
    const accountId = await crossing(scrip);
    const slowest = { ms: 0 };
    for (let times = 0; times < 15; times++) {
      const started = performance.now();
      await cross(scrip, accountId, 2);
      slowest.ms = Math.max(slowest.ms, performance.now() - started);
    }
    expect(slowest.ms).toBeLessThan(1_000);
    await delivery(scrip, accountId, {});
    await vi.waitFor(async () => {
      const tried = (await deliveriesOf(scrip, accountId)).filter(({ lastError }) => lastError);
      expect(tried.length).toBeGreaterThan(3);
      for (const { lastError } of tried) expect(lastError).toBe('no answer in time');
    }, SOON);
    expect(receiver.concurrency).toBeLessThanOrEqual(2);
  });

  test('answers without end has taken the event all the same', async () => {
    receiver.answer = (response) => {
      response.writeHead(200);
      const writing = setInterval(() => response.write('x'.repeat(1_000)), 5);
      response.once('close', () => clearInterval(writing));
    };
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
  });

  test('sends it elsewhere has not taken it: nobody else is told', async () => {
    receiver.answer = answers(307, { location: `${receiver.url}&again` });
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, { attempts: 1, lastError: '307 Temporary Redirect' });
    expect(receiver.received.length).toBe(1);
  });
});

describe('a delivery is given up', () => {
  test('after so many attempts, and begins anew when it is replayed', async () => {
    receiver.answer = answers(500, {}, 'a\u0000b\n  no');
    const scrip = await start({ EVENTS_WEBHOOK_ATTEMPTS_MAX: '3' });
    const accountId = await crossing(scrip);
    await untilReceived(scrip, 3);
    const dead = await delivery(scrip, accountId, {
      state: Delivery_State.DEAD,
      attempts: 3,
      lastError: '500 Internal Server Error: a b no',
    });
    expect(dead.nextAttemptAt).toBeUndefined();
    scrip.advance(24 * 60 * MINUTE);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(receiver.received.length).toBe(3);

    receiver.answer = answers(204);
    const { eventId } = dead.event!;
    const { delivery: replayed } = await scrip.events.replayDelivery({ accountId, eventId });
    expect(replayed).toMatchObject({ state: Delivery_State.PENDING, attempts: 0 });
    await received(4);
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
    expect(receiver.ids()).toEqual(Array(4).fill(eventId));
  });

  test('at once where the endpoint says that it is gone', async () => {
    receiver.answer = answers(410, {}, 'no more');
    const scrip = await start();
    const accountId = await crossing(scrip);
    await delivery(scrip, accountId, {
      state: Delivery_State.DEAD,
      attempts: 1,
      lastError: '410 Gone: no more',
    });
  });

  test('and all that are can be replayed together, of one account or of all', async () => {
    receiver.answer = answers(410);
    const scrip = await start();
    const accountIds = [await crossing(scrip), await crossing(scrip)] as const;
    await cross(scrip, accountIds[0], 2);
    const dead = async () =>
      (await scrip.events.listDeliveries({ state: Delivery_State.DEAD })).deliveries.length;
    await expect.poll(dead, SOON).toBe(4);
    receiver.answer = answers(204);
    const [, accountId] = accountIds;
    expect(await scrip.events.replayDeadDeliveries({ accountId })).toEqual({ replayed: 1 });
    await expect.poll(dead, SOON).toBe(3);
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
      .poll(async () => positionsOf(await list({ state: Delivery_State.DELIVERED })), SOON)
      .toEqual([5n, 4n, 3n, 2n, 1n]);
    expect((await list({ state: Delivery_State.PENDING })).deliveries).toEqual([]);
    expect(
      await faultOf(list({ accountId: accountIds[0], pageToken: first.nextPageToken })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['page_token'] });
  });

  test('have what was delivered delivered again', async () => {
    const scrip = await start();
    const accountId = await crossing(scrip);
    const { event } = await delivery(scrip, accountId, { state: Delivery_State.DELIVERED });
    const eventId = event!.eventId.toUpperCase();
    await scrip.events.replayDelivery({ accountId, eventId });
    await received(2);
    await delivery(scrip, accountId, { state: Delivery_State.DELIVERED, attempts: 1 });
  });

  test('are told of a delivery there is not, and of fields that are wrong', async () => {
    const scrip = await start();
    const accountId = await crossing(scrip);
    const eventId = '01900000-0000-7000-8000-000000000000';
    expect(await faultOf(scrip.events.replayDelivery({ accountId, eventId }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'DELIVERY_NOT_FOUND',
      metadata: { account_id: accountId, event_id: eventId },
    });
    const wrong = { accountId: '', eventId: '7' };
    expect(await faultOf(scrip.events.replayDelivery(wrong))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['account_id', 'event_id'],
    });
    expect(
      await faultOf(scrip.events.listDeliveries({ state: 9 as Delivery_State })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['state'] });
    const ofNobody = { accountId: 'a b' };
    expect(await faultOf(scrip.events.replayDeadDeliveries(ofNobody))).toMatchObject({
      fields: ['account_id'],
    });
  });
});

describe('replicas', () => {
  test('share the deliveries: each event reaches the endpoint once, within their limits', async () => {
    receiver.answer = (response) => setTimeout(() => response.writeHead(204).end(), 5);
    const a = await start({ EVENTS_WEBHOOK_CONCURRENCY: '3' });
    const b = await start({ EVENTS_WEBHOOK_CONCURRENCY: '3' }, a.databaseUrl);
    const accountIds = await Promise.all([crossing(a), crossing(b), crossing(a), crossing(b)]);
    await Promise.all(accountIds.map((id, index) => cross(index % 2 ? a : b, id, 20)));
    await received(84);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(new Set(receiver.ids()).size).toBe(84);
    expect(receiver.received.length).toBe(84);
    expect(receiver.concurrency).toBeGreaterThan(1);
    expect(receiver.concurrency).toBeLessThanOrEqual(6);
  });

  test('that stop finish what is under way', async () => {
    receiver.answer = (response) => setTimeout(() => response.writeHead(204).end(), 400);
    const scrip = await start();
    const accountId = await crossing(scrip);
    await received(1);
    await scrip.stop();
    services.pop();
    const [row] = await execute(
      scrip.databaseUrl,
      'select state from deliveries where account_id = $1',
      [accountId],
    );
    expect(row).toEqual({ state: 'DELIVERED' });
  });

  test('that must stop before the endpoint answers give the delivery back at once', async () => {
    receiver.answer = () => {};
    const env = { EVENTS_WEBHOOK_TIMEOUT_MS: '60000' };
    const scrip = await start({ ...env, SHUTDOWN_GRACE_MS: '100' });
    await crossing(scrip);
    await received(1);
    const started = performance.now();
    await scrip.stop();
    services.pop();
    expect(performance.now() - started).toBeLessThan(2_000);
    receiver.answer = answers(204);
    const other = await start(env, scrip.databaseUrl);
    await received(2);
    await vi.waitFor(async () => {
      const { deliveries } = await other.events.listDeliveries({});
      expect(deliveries).toMatchObject([{ state: Delivery_State.DELIVERED, attempts: 1 }]);
    }, SOON);
    expect(new Set(receiver.ids()).size).toBe(1);
  });
});
