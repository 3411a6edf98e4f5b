/** history() and followEvents() lose nothing and repeat nothing, whatever happens to the connection. */
import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest';
import {
  Cancelled,
  connect,
  type Entry,
  type FollowedEvent,
  PositionLost,
  type Scrip,
} from '../../clients/typescript/src/index.ts';
import { openWithCredits } from '../accounts.ts';
import { createDatabase, execute } from '../postgres.ts';
import { end, type Replica, startReplica } from '../process/replica.ts';
import { startTestService, type TestService } from '../service.ts';
import { Network } from './network.ts';

const seqs = (entries: readonly Entry[]) => entries.map(({ seq }) => Number(seq));
const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

async function take<Item>(items: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const taken: Item[] = [];
  if (count > 0)
    for await (const item of items) {
      taken.push(item);
      if (taken.length === count) break;
    }
  return taken;
}

describe('over a network that breaks', () => {
  let service: TestService;
  let network: Network;
  let scrip: Scrip;

  beforeEach(async () => {
    service = await startTestService();
    network = new Network(() => service.service.port);
    await network.open();
    scrip = connect({ address: network.address, caller: 'reader' });
  });
  afterEach(async () => {
    scrip.close();
    await network.close();
    await service.stop();
  });

  async function accountWith(charges: number): Promise<string> {
    const accountId = await openWithCredits(service, 1_000n);
    for (let made = 0; made < charges; made++) await charge(accountId);
    return accountId;
  }

  const charge = (accountId: string) =>
    service.billing.charge({ accountId, requestId: randomUUID(), credits: 1n });

  test('a history that is cut anywhere has every entry once', async () => {
    const accountId = await accountWith(40);
    const whole = await take(scrip.history(accountId), 100);
    expect(seqs(whole)).toEqual(upTo(whole.length));
    for (let bytes = 0; bytes < 6_000; bytes += 347) {
      network.resetAfter(bytes);
      expect(seqs(await take(scrip.history(accountId), 100))).toEqual(seqs(whole));
    }
  });

  test('a history that is followed goes on after every reset', async () => {
    const accountId = await accountWith(0);
    const start = (await take(scrip.history(accountId), 100)).length;
    const entries: Entry[] = [];
    for await (const entry of scrip.history(accountId, { follow: true })) {
      entries.push(entry);
      if (entries.length === start + 20) break;
      if (entries.length < start) continue;
      if (entries.length % 3 === 0) network.reset();
      await charge(accountId);
    }
    expect(seqs(entries)).toEqual(upTo(start + 20));
  });

  test('a history resumes after a seq', async () => {
    const accountId = await accountWith(5);
    const whole = await take(scrip.history(accountId), 100);
    const rest = await take(scrip.history(accountId, { afterSeq: 3n }), 100);
    expect(rest).toEqual(whole.slice(3));
  });

  test('filters hold over a reset', async () => {
    const accountId = await accountWith(30);
    const filters = { kinds: ['KIND_CHARGE'], follow: true } as const;
    const first = await take(scrip.history(accountId, filters), 1);
    const entries: Entry[] = [];
    for await (const entry of scrip.history(accountId, filters)) {
      entries.push(entry);
      if (entries.length === 30) break;
      if (entries.length % 7 === 0) network.reset();
    }
    const from = Number(first[0]?.seq);
    expect(seqs(entries)).toEqual(upTo(from + 29, from));
  });

  test('entries that changed after a reset are a lost position', async () => {
    const accountId = await accountWith(3);
    const history = scrip.history(accountId, { follow: true });
    const last = (await take(scrip.history(accountId), 100)).length;
    for (let read = 0; read < last; read++) await history.next();
    await execute(
      service.databaseUrl,
      `UPDATE entries SET hash = sha256(hash) WHERE account_id = '${accountId}' AND seq = ${last}`,
    );
    network.reset();
    await expect(history.next()).rejects.toThrow(PositionLost);
  });

  test('an abort ends an iterator that waits', async () => {
    const accountId = await accountWith(0);
    const stop = new AbortController();
    const read = async () => {
      for await (const entry of scrip.history(accountId, { follow: true, signal: stop.signal }))
        if (entry.seq > 0n) setImmediate(() => stop.abort());
    };
    await expect(read()).rejects.toThrow(Cancelled);
  });

  test('close() ends iterators', async () => {
    const accountId = await accountWith(0);
    const read = async () => {
      for await (const _ of scrip.history(accountId, { follow: true })) scrip.close();
    };
    await expect(read()).rejects.toThrow(Cancelled);
  });

  test('a service that is away for longer than timeoutMs ends a history', async () => {
    const accountId = await accountWith(0);
    network.isRefusing = true;
    const read = take(scrip.history(accountId, { timeoutMs: 100 }), 1);
    await expect(read).rejects.toMatchObject({ code: 14, outcome: 'none' });
  });

  test('a refusal ends it at once', async () => {
    await expect(take(scrip.history('nobody', { follow: true }), 1)).rejects.toMatchObject({
      reason: 'ACCOUNT_NOT_FOUND',
    });
  });

  test('every event comes once over resets, and its token resumes after it', async () => {
    for (let opened = 0; opened < 2; opened++) await depleted(await service.open('perfectparser'));
    const whole: FollowedEvent[] = [];
    for await (const followed of scrip.followEvents()) {
      whole.push(followed);
      if (whole.filter(({ event }) => event.type === 'balance.depleted').length === 2) break;
    }
    for (let bytes = 0; bytes < 2_000; bytes += 131) {
      network.resetAfter(bytes);
      expect(await eventIds(scrip.followEvents({ follow: false }))).toEqual(ids(whole));
    }
    for (const [index, { token }] of whole.entries()) {
      const rest = scrip.followEvents({ follow: false, afterToken: token });
      expect(await eventIds(rest)).toEqual(ids(whole.slice(index + 1)));
    }
  });

  const ids = (events: readonly FollowedEvent[]) => events.map(({ event }) => event.eventId);
  const eventIds = async (events: AsyncIterable<FollowedEvent>) => ids(await take(events, 100));

  async function depleted(accountId: string) {
    const { balance } = await service.billing.getBalance({ accountId });
    const credits = balance?.available ?? 0n;
    await service.billing.charge({ accountId, requestId: randomUUID(), credits });
  }
});

test('a reader that is ended for being slow goes on where it was', async () => {
  const lines: string[] = [];
  const toMemory = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const service = await startTestService({
    log: pino({ level: 'debug' }, toMemory),
    env: { STREAM_STALL_MS: '1000' },
  });
  const address = `127.0.0.1:${service.service.port}`;
  const scrip = connect({ address, caller: 'reader', timeoutMs: 60_000 });
  onTestFinished(async () => {
    scrip.close();
    await service.stop();
  });
  const accountId = await openWithCredits(service, 1n);
  const charge = { $case: 'charge', value: { accountId, credits: 0n } } as const;
  const mutations = Array.from({ length: 1_000 }, () => ({ mutation: charge }));
  for (let written = 0; written < 20_000; written += 1_000)
    await scrip.billing.batch({ mutations });

  const entries: Entry[] = [];
  for await (const entry of scrip.history(accountId)) {
    entries.push(entry);
    if (entries.length === 1)
      await expect
        .poll(() => lines.filter((line) => line.includes('StreamHistory')).length, {
          timeout: 60_000,
        })
        .toBeGreaterThan(0);
  }
  expect(lines.join('')).toContain('OVERLOADED');
  expect(seqs(entries)).toEqual(upTo(entries.length));
  expect(entries.length).toBeGreaterThan(20_000);
});

describe('with two replicas', () => {
  let databaseUrl: string;
  let replicas: Replica[];
  beforeEach(async () => {
    databaseUrl = await createDatabase(inject('postgresUrl'));
    const start = () => startReplica({ DATABASE_URL: databaseUrl });
    replicas = [await start(), await start()];
  });
  afterEach(async () => {
    await Promise.all(replicas.map(end));
  });

  test('a history and the events that are followed outlive kill -9 of the replica that sends them', async () => {
    const [one, other] = replicas as [Replica, Replica];
    const address = `ipv4:127.0.0.1:${one.port},127.0.0.1:${other.port}`;
    const scrip = connect({ address, caller: 'reader', timeoutMs: 60_000 });
    const accountId = 'followed';
    await scrip.accounts.openAccount({ accountId, planId: 'perfectparser' });
    const read: Entry[] = [];
    const events: FollowedEvent[] = [];
    const following = (async () => {
      for await (const entry of scrip.history(accountId, { follow: true })) {
        read.push(entry);
        if (entry.reference === 'last') break;
      }
    })();
    const followingEvents = (async () => {
      for await (const followed of scrip.followEvents({ accountId })) {
        events.push(followed);
        if (followed.event.type === 'balance.depleted') break;
      }
    })();
    const charge = (reference: string, credits: bigint) =>
      scrip.billing.charge({ accountId, credits, reference });
    for (let made = 0; made < 10; made++) await charge('', 1n);
    await one.signal('SIGKILL');
    for (let made = 0; made < 10; made++) await charge(made === 9 ? 'last' : '', 1n);
    await Promise.all([following, followingEvents]);
    expect(seqs(read)).toEqual(upTo(read.length));
    expect(read.filter(({ kind }) => kind === 'KIND_CHARGE')).toHaveLength(20);
    const positions = events.map(({ event }) => event.position);
    expect(new Set(positions).size).toBe(positions.length);
    scrip.close();
  });
});
