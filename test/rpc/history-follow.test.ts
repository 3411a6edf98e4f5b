import { Writable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { StreamHistoryResponse } from '../../src/gen/billing/v1/billing_service.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { DAY, INSPECT, openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

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

const charge = (service: TestService, accountId: string) =>
  service.billing.charge({ accountId, requestId: requestId(), usages: { items: [INSPECT] } });

type Stream = AsyncGenerator<StreamHistoryResponse, void, void>;

async function next(stream: Stream) {
  const { value } = await stream.next();
  return { seqs: value?.entries.map(({ seq }) => seq), nextAfterSeq: value?.nextAfterSeq };
}

/** Follows a history with a deadline, and doubles that until the first message arrives before it. */
async function follow(accountId: string, timeoutMs: number) {
  const options = { deadline: Date.now() + timeoutMs };
  const stream = scrip.billing.streamHistory({ accountId, follow: true }, options);
  try {
    await stream.next();
    return { stream, before: ended() };
  } catch {
    return await follow(accountId, 2 * timeoutMs);
  }
}

/** The number of StreamHistory calls that have ended. */
const ended = () => lines.filter((line) => line.includes('StreamHistory')).length;

describe('StreamHistory with follow', () => {
  test('sends new entries as they are written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    expect((await next(stream)).seqs).toEqual([1n, 2n]);
    for (const seq of [3n, 4n, 5n]) {
      const following = next(stream);
      await charge(scrip, accountId);
      expect(await following).toEqual({ seqs: [seq], nextAfterSeq: seq });
    }
    await stream.return();
  });

  test('sends entries that another replica writes', async () => {
    const reading = await startTestService({ databaseUrl: scrip.databaseUrl });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const stream = reading.billing.streamHistory({ accountId, afterSeq: 2n, follow: true });
      for (const seq of [3n, 4n]) {
        const following = next(stream);
        await charge(scrip, accountId);
        expect((await following).seqs).toEqual([seq]);
      }
      await stream.return();
    } finally {
      await reading.stop();
    }
  });

  test('sends every entry once while many calls write', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const seen: bigint[] = [];
    const reading = (async () => {
      for await (const { entries } of scrip.billing.streamHistory({ accountId, follow: true })) {
        seen.push(...entries.map(({ seq }) => seq));
        if (seen.length >= 202) return;
      }
    })();
    await Promise.all(Array.from({ length: 200 }, () => charge(scrip, accountId)));
    await reading;
    expect(seen).toEqual(Array.from({ length: 202 }, (_, index) => BigInt(index + 1)));
  });

  test('applies its filter, and moves next_after_seq past filtered entries', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const kinds = [Entry_Kind.RESERVE];
    const stream = scrip.billing.streamHistory({ accountId, kinds, follow: true, afterSeq: 2n });
    const seen: [bigint, number][] = [];
    const reading = (async () => {
      for await (const { entries, nextAfterSeq } of stream) {
        seen.push([nextAfterSeq, entries.length]);
        if (entries.length > 0) return;
      }
    })();
    await charge(scrip, accountId);
    await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 1n });
    await reading;
    expect(seen.at(-1)).toEqual([4n, 1]);
  });

  test('waits for the first entry after the opening of an account', async () => {
    const accountId = await scrip.open('verts');
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    expect((await next(stream)).seqs).toEqual([1n]);
    const following = next(stream);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 0n });
    expect((await following).seqs).toEqual([2n]);
    await stream.return();
  });

  test('ends if `to` is in the past', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await charge(scrip, accountId);
    const to = new Date(scrip.now());
    const seqs: bigint[] = [];
    for await (const { entries } of scrip.billing.streamHistory({ accountId, follow: true, to }))
      seqs.push(...entries.map(({ seq }) => seq));
    expect(seqs.every((seq) => seq <= 3n)).toBe(true);
  });

  test('follows until `to`', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const to = new Date(scrip.now() + DAY);
    const stream = scrip.billing.streamHistory({ accountId, follow: true, afterSeq: 2n, to });
    const following = next(stream);
    await charge(scrip, accountId);
    expect((await following).seqs).toEqual([3n]);
    const last = stream.next();
    scrip.advance(DAY);
    await charge(scrip, accountId); // At or after `to`: the stream has nothing more to send.
    expect(await last).toEqual({ done: true, value: undefined });
  });

  test('ends in the service when its reader disconnects', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    const before = ended();
    await stream.return();
    await vi.waitFor(() => expect(ended()).toBe(before + 1), { timeout: 60_000 });
  });

  test('ends in the service when its deadline passes', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    // The first message must arrive before the deadline.
    const { stream, before } = await follow(accountId, 250);
    await expect(stream.next()).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await vi.waitFor(() => expect(ended()).toBe(before + 1), { timeout: 60_000 });
  });

  test('fails with the seq to resume after when the replica stops', async () => {
    const stopping = await startTestService({ databaseUrl: scrip.databaseUrl });
    const accountId = await openWithCredits(scrip, 100n);
    const stream = stopping.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    const error = errorOf(stream.next());
    await stopping.service.stop();
    expect(await error).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'SHUTTING_DOWN',
      metadata: { next_after_seq: '2' },
      retryMs: 100,
    });
    stopping.close();
  });
});
