/** StreamEvents, over real sockets. */
import '../../src/telemetry/sdk.ts';
import { Writable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Event, StreamEventsResponse } from '../../src/gen/billing/v1/event_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { cross, crossing, eventsOf, from, positionsOf } from './given.ts';
import { tokenAt } from './stream-token.ts';

const lines: string[] = [];
const toMemory = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk));
    done();
  },
});

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ log: pino({ level: 'debug' }, toMemory) });
});
afterAll(() => scrip.stop());

const ended = () => lines.filter((line) => line.includes('StreamEvents')).length;

/** Long enough for a busy machine: no test passes or fails by how long something takes. */
const EVENTUALLY = { timeout: 60_000, interval: 20 };

/** All events of an account, once there are `count`. */
const eventsOnce = (accountId: string, count: number, service = scrip) =>
  vi.waitFor(async () => {
    const events = await eventsOf(service, { accountId });
    expect(events.length).toBe(count);
    return events;
  }, EVENTUALLY);

const newest = async () => (await eventsOf(scrip)).at(-1)?.position ?? 0n;

type Stream = AsyncGenerator<StreamEventsResponse, void, void>;

/** The events of the next message that carries some. */
async function nextEvents(stream: Stream): Promise<readonly Event[]> {
  for (;;) {
    const { value } = await stream.next();
    if (!value || value.events.length > 0) return value?.events ?? [];
  }
}

describe('an event says', () => {
  test('what happened, to whom, when, in which trace and where it stands', async () => {
    const before = scrip.now();
    const accountId = await crossing(scrip);
    const [low] = await eventsOnce(accountId, 1);
    expect(low).toEqual({
      eventId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/),
      position: expect.anything(),
      type: 'balance.low',
      accountId,
      at: expect.any(Date),
      data: mapOf({ level: '500', usable: '400', threshold: '500' }),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(low?.at?.getTime()).toBeGreaterThanOrEqual(before);
    expect(low?.at?.getTime()).toBeLessThanOrEqual(scrip.now());
  });

  test('also what happens by the passing of time, once the account is swept', async () => {
    const accountId = await scrip.open('verts');
    const { grant: made } = await scrip.accounts.grantCredits({
      reason: 'a test',
      accountId,
      requestId: requestId(),
      credits: 600n,
      category: 1,
      expiresAt: new Date(scrip.now() + 60_000),
    });
    const reserved = { accountId, requestId: requestId(), credits: 50n, reference: 'job 7' };
    const { reservation } = await scrip.billing.reserve({ ...reserved, ttl: { seconds: 30n } });
    scrip.advance(60_000);
    await scrip.service.sweep();
    const events = await eventsOnce(accountId, 5);
    expect(events.map(({ type, data }) => [type, Object.fromEntries(data)])).toEqual([
      [
        'grant.expiring',
        {
          grant_id: String(made?.grantId),
          remaining: '600',
          expires_at: made?.expiresAt?.toISOString(),
          category: 'PAID',
        },
      ],
      [
        'reservation.expired',
        { reservation_id: reservation?.reservationId, credits: '50', reference: 'job 7' },
      ],
      ['grant.expired', { grant_id: String(made?.grantId), credits: '550', category: 'PAID' }],
      ['balance.low', { level: '500', usable: '0', threshold: '500' }],
      ['balance.depleted', { level: '0', usable: '0', threshold: '0' }],
    ]);
  });
});

const tokenOf = (position: number | bigint): string => tokenAt(BigInt(position));

describe('StreamEvents', () => {
  test('sends every event from the first on, without gaps, and goes on after any of them', async () => {
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 5);
    await eventsOnce(accountId, 6);
    const all = await eventsOf(scrip);
    expect(positionsOf(all)).toEqual(from(1, all.length));
    expect(new Set(all.map(({ eventId }) => eventId)).size).toBe(all.length);
    for (const position of [1, all.length - 2, all.length])
      expect(await eventsOf(scrip, { afterToken: tokenOf(position) })).toEqual(all.slice(position));
  });

  test('sends only the events of the requested account and types', async () => {
    const accountId = await crossing(scrip);
    await cross(scrip, accountId, 4);
    const own = await eventsOnce(accountId, 5);
    expect(own.map(({ type }) => type)).toEqual([
      'balance.low',
      'balance.recovered',
      'balance.low',
      'balance.recovered',
      'balance.low',
    ]);
    const lows = await eventsOf(scrip, { accountId, types: ['balance.low', 'top_up.failed'] });
    expect(lows).toEqual(own.filter(({ type }) => type === 'balance.low'));
    const after = { accountId, afterToken: tokenOf(own[2]!.position) };
    expect(await eventsOf(scrip, after)).toEqual(own.slice(3));
    const ofAll = await eventsOf(scrip, { types: ['balance.low'] });
    expect(ofAll).toEqual((await eventsOf(scrip)).filter(({ type }) => type === 'balance.low'));
  });

  test('advances past the events that its filter leaves out', async () => {
    const accountId = await crossing(scrip);
    await eventsOnce(accountId, 1);
    const messages: StreamEventsResponse[] = [];
    for await (const message of scrip.events.streamEvents({ types: ['statement.closed'] }))
      messages.push(message);
    expect(messages.flatMap(({ events }) => events)).toEqual([]);
    expect(messages.at(-1)?.nextToken).toBe(tokenOf(await newest()));
  });

  test.each<[string, Parameters<TestService['events']['streamEvents']>[0], string[]]>([
    ['a token that it did not send', { afterToken: 'AQ' }, ['after_token']],
    ['a token of another version', { afterToken: 'AgAAAAAAAAAB' }, ['after_token']],
    ['a token with more at its end', { afterToken: `${tokenOf(1)}=` }, ['after_token']],
    ['an unknown type', { types: ['balance.low', 'balance.lo'] }, ['types']],
    ['an invalid account id', { accountId: 'a b' }, ['account_id']],
  ])('refuses %s', async (_, request, fields) => {
    expect(await errorOf(scrip.events.streamEvents(request).next())).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields,
    });
  });

  test('fails for a token of events that it does not have', async () => {
    const afterToken = tokenOf(1_000_000);
    expect(await errorOf(scrip.events.streamEvents({ afterToken }).next())).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'POSITION_LOST',
      metadata: { after: afterToken, newest: tokenOf(await newest()) },
    });
  });

  test('fails for an unknown account', async () => {
    const call = scrip.events.streamEvents({ accountId: 'nobody' }).next();
    expect(await errorOf(call)).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
  });
});

describe('StreamEvents that follows', () => {
  test('sends each new event', async () => {
    const accountId = await crossing(scrip);
    const [first] = await eventsOnce(accountId, 1);
    const afterToken = tokenOf(first!.position);
    const stream = scrip.events.streamEvents({ accountId, afterToken, follow: true });
    for (let times = 0; times < 3; times++) {
      const events = nextEvents(stream);
      await cross(scrip, accountId, 2);
      expect((await events).length).toBeGreaterThan(0);
    }
    await stream.return();
  });

  test('sends an event that another replica has written', async () => {
    const reading = await startTestService({ databaseUrl: scrip.databaseUrl });
    try {
      const accountId = await crossing(scrip);
      const [first] = await eventsOnce(accountId, 1);
      const afterToken = tokenOf(first!.position);
      const stream = reading.events.streamEvents({ accountId, afterToken, follow: true });
      const events = nextEvents(stream);
      await cross(scrip, accountId, 1);
      expect(await events).toMatchObject([{ accountId, type: 'balance.recovered' }]);
      await stream.return();
    } finally {
      await reading.stop();
    }
  });

  test('ends in the service when its reader cancels', async () => {
    const stream = scrip.events.streamEvents({ follow: true });
    await crossing(scrip);
    await stream.next();
    const before = ended();
    await stream.return();
    await vi.waitFor(() => expect(ended()).toBe(before + 1), EVENTUALLY);
  });

  test('fails when the replica stops, and says with which token to resume', async () => {
    const stopping = await startTestService({ databaseUrl: scrip.databaseUrl });
    const accountId = await crossing(scrip);
    await eventsOnce(accountId, 1);
    const position = await newest();
    const request = { afterToken: tokenOf(position - 1n), follow: true };
    const stream = stopping.events.streamEvents(request);
    expect(await nextEvents(stream)).toMatchObject([{ position }]);
    const fault = errorOf(stream.next());
    await stopping.service.stop();
    expect(await fault).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'SHUTTING_DOWN',
      metadata: { next_token: tokenOf(position) },
    });
    stopping.close();
  });
});

test('a reader that resumes on one replica after the other misses and repeats no event', async () => {
  const a = await startTestService();
  const b = await startTestService({ databaseUrl: a.databaseUrl });
  try {
    const EACH = 32;
    const accounts = await Promise.all([a, b, a, b].map(crossing));
    const total = accounts.length * (EACH + 1);
    // Every account is written through one replica, then through the other.
    const writing = accounts.map(async (accountId) => {
      await cross(a, accountId, EACH / 2);
      await cross(b, accountId, EACH / 2);
    });
    const seen: Event[] = [];
    let afterToken = '';
    for (let count = 0; seen.length < total; count++) {
      const replica = count % 2 === 0 ? a : b;
      const stream = replica.events.streamEvents({ afterToken, follow: true });
      let messages = 0;
      for await (const { events, nextToken } of stream) {
        seen.push(...events);
        afterToken = nextToken;
        if (++messages === 3 || seen.length >= total) break;
      }
    }
    await Promise.all(writing);
    expect(positionsOf(seen)).toEqual(from(1, total));
    for (const accountId of accounts) {
      const types = seen.filter((event) => event.accountId === accountId).map(({ type }) => type);
      expect(types).toEqual(
        types.map((_, index) => (index % 2 === 0 ? 'balance.low' : 'balance.recovered')),
      );
    }
  } finally {
    await Promise.all([a.stop(), b.stop()]);
  }
});

test('events that a replica left without a position get one from any other replica', async () => {
  const a = await startTestService();
  const accountId = await crossing(a);
  await eventsOnce(accountId, 1, a);
  await a.stop();
  // A replica that is killed right after its commit leaves an event like this.
  await execute(
    a.databaseUrl,
    `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id, sampled, data_hash, hash)
     values ($1, gen_random_uuid(), 2, 'balance.low', now(), '{}', '', '', false, '', '')`,
    [accountId],
  );
  const b = await startTestService({ databaseUrl: a.databaseUrl });
  try {
    expect(positionsOf(await eventsOnce(accountId, 2, b))).toEqual([1n, 2n]);
  } finally {
    await b.stop();
  }
});

test('every query of events and deliveries uses an index', async () => {
  const client = await startTestService();
  try {
    for (const query of [
      'select 1 from events where position is null order by account_id, seq limit 1',
      'select * from events where position > 1 and position <= 2 order by position limit 3',
      `select * from events where account_id = 'a' and position > 1 and position <= 2 order by position limit 3`,
      `select * from deliveries where due_at <= now() order by due_at limit 3 for update skip locked`,
      `select * from deliveries where state = 'DEAD' and position < 3 order by position desc limit 3`,
      'select * from deliveries where true order by position desc limit 3',
    ]) {
      const plan = await execute(client.databaseUrl, `explain ${query}`);
      const text = JSON.stringify(plan);
      expect(text, query).toMatch(/Index/);
      expect(text, query).not.toMatch(/Seq Scan/);
    }
  } finally {
    await client.stop();
  }
});
