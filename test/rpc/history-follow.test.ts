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
  service.billing.charge({ accountId, requestId: requestId(), usages: [INSPECT] });

type Stream = AsyncGenerator<StreamHistoryResponse, void, void>;

/** The next message, and how long it took. */
async function next(stream: Stream) {
  const started = performance.now();
  const { value } = await stream.next();
  return { ms: performance.now() - started, seqs: value?.entries.map(({ seq }) => seq), value };
}

/** How many streams of history the service has ended so far. */
const ended = () => lines.filter((line) => line.includes('StreamHistory')).length;

describe('StreamHistory that follows', () => {
  test('sends a new entry within a second of its writing', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    expect((await next(stream)).seqs).toEqual([1n]);
    for (const seq of [2n, 3n, 4n]) {
      const coming = next(stream);
      await charge(scrip, accountId);
      const { seqs, ms, value } = await coming;
      expect(seqs).toEqual([seq]);
      expect(value?.nextAfterSeq).toBe(seq);
      expect(ms).toBeLessThan(1_000);
    }
    await stream.return();
  });

  test('sends one written by another replica within a second, too', async () => {
    const env = { HISTORY_POLL_MS: '250' }; // The default.
    const reading = await startTestService({ databaseUrl: scrip.databaseUrl, env });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const stream = reading.billing.streamHistory({ accountId, afterSeq: 1n, follow: true });
      for (const seq of [2n, 3n]) {
        const coming = next(stream);
        await charge(scrip, accountId);
        const { seqs, ms } = await coming;
        expect(seqs).toEqual([seq]);
        expect(ms).toBeLessThan(1_000);
      }
      await stream.return();
    } finally {
      await reading.stop();
    }
  });

  test('misses and repeats nothing while many write', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const seen: bigint[] = [];
    const reading = (async () => {
      for await (const { entries } of scrip.billing.streamHistory({ accountId, follow: true })) {
        seen.push(...entries.map(({ seq }) => seq));
        if (seen.length >= 201) return;
      }
    })();
    await Promise.all(Array.from({ length: 200 }, () => charge(scrip, accountId)));
    await reading;
    expect(seen).toEqual(Array.from({ length: 201 }, (_, index) => BigInt(index + 1)));
  });

  test('keeps to its filter, and moves on past what that leaves out', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const kinds = [Entry_Kind.RESERVE];
    const stream = scrip.billing.streamHistory({ accountId, kinds, follow: true, afterSeq: 1n });
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
    expect(seen.at(-1)).toEqual([3n, 1]);
  });

  test('waits for the first entry of an account that has none', async () => {
    const accountId = await scrip.open('verts');
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    const coming = next(stream);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 0n });
    expect((await coming).seqs).toEqual([1n]);
    await stream.return();
  });

  test('ends by itself where it may only read up to a moment that has passed', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await charge(scrip, accountId);
    const to = new Date(scrip.now());
    const seqs: bigint[] = [];
    for await (const { entries } of scrip.billing.streamHistory({ accountId, follow: true, to }))
      seqs.push(...entries.map(({ seq }) => seq));
    expect(seqs.every((seq) => seq <= 2n)).toBe(true);
  });

  test('follows up to a moment that is still ahead', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const to = new Date(scrip.now() + DAY);
    const stream = scrip.billing.streamHistory({ accountId, follow: true, afterSeq: 1n, to });
    const coming = next(stream);
    await charge(scrip, accountId);
    expect((await coming).seqs).toEqual([2n]);
    const last = stream.next();
    scrip.advance(DAY);
    await charge(scrip, accountId); // At or after `to`: the stream has nothing more to send.
    expect(await last).toEqual({ done: true, value: undefined });
  });

  test('is over for the service once its reader has gone', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    const before = ended();
    await stream.return();
    await vi.waitFor(() => expect(ended()).toBe(before + 1), { timeout: 1_000 });
  });

  test('is over for the service once its deadline has passed', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const before = ended();
    const options = { deadline: Date.now() + 150 };
    const stream = scrip.billing.streamHistory({ accountId, follow: true }, options);
    await stream.next();
    await expect(stream.next()).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await vi.waitFor(() => expect(ended()).toBe(before + 1), { timeout: 1_000 });
  });

  test('is told where to go on when the replica stops', async () => {
    const stopping = await startTestService({ databaseUrl: scrip.databaseUrl });
    const accountId = await openWithCredits(scrip, 100n);
    const stream = stopping.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    const fault = errorOf(stream.next());
    await stopping.service.stop();
    expect(await fault).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'SHUTTING_DOWN',
      metadata: { next_after_seq: '1' },
      retryMs: 100,
    });
    stopping.close();
  });
});
