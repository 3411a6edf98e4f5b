/** What limits streams: their number, the time that a reader may take, and the bytes that wait for readers. */
import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { Writable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { connect } from '../../src/client.ts';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import { OpenStreams } from '../../src/rpc/call/open-streams.ts';
import { openWithCredits } from '../accounts.ts';
import { SOON } from '../process/replica.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { callStreamHistory } from './http2-call.ts';

const limits = { streamsMax: 3, perCallerMax: 2, stallMs: 60_000, bufferedBytesMax: 100 };
const never = new Promise<void>(() => {});

describe('The number of streams', () => {
  test('is limited for each caller and for all, and a stream that ends makes room', () => {
    const streams = new OpenStreams(limits);
    const close = streams.open('a', null);
    streams.open('a', null);
    expect(() => streams.open('a', null)).toThrow(
      expect.objectContaining({ reason: 'OVERLOADED', metadata: { queue: '2', limit: '2' } }),
    );
    streams.open('b', null);
    expect(() => streams.open('c', null)).toThrow(
      expect.objectContaining({ reason: 'OVERLOADED', metadata: { queue: '3', limit: '3' } }),
    );
    close();
    streams.open('c', null);
  });

  test('is limited over the network: one more fails at once, and one that is cancelled makes room', async () => {
    const scrip = await startTestService({ env: { STREAMS_PER_CALLER_MAX: '2' } });
    const accountId = await openWithCredits(scrip, 1n);
    const follow = (of = scrip) => of.billing.streamHistory({ accountId, follow: true });
    const other = connect(`127.0.0.1:${scrip.service.port}`, { caller: 'other' });
    try {
      const first = follow();
      const second = follow();
      await Promise.all([first.next(), second.next()]);
      expect(await errorOf(follow().next())).toMatchObject({
        code: status.RESOURCE_EXHAUSTED,
        reason: 'OVERLOADED',
        metadata: { queue: '2', limit: '2' },
      });
      await other.billing.streamHistory({ accountId, follow: true }).next();
      await first.return();
      // Until the service has seen that it was cancelled, there is no room.
      await vi.waitFor(() => follow().next(), SOON);
    } finally {
      other.close();
      await scrip.stop();
    }
  });
});

describe('Bytes that wait for readers', () => {
  test('are limited: the streams that have waited longest are ended, with where to resume', async () => {
    const streams = new OpenStreams(limits);
    const wait = (bytes: number, position: bigint) =>
      streams.waitForReader(bytes, never, { next_after_seq: position }).catch((error) => error);
    const waits = [wait(60, 1n), wait(30, 2n), wait(50, 3n)];
    expect(await waits[0]).toMatchObject({
      reason: 'OVERLOADED',
      metadata: { next_after_seq: '1' },
    });
    expect(streams.bufferedBytes).toBe(80);
    void wait(90, 4n);
    expect(await Promise.all([waits[1], waits[2]])).toMatchObject([
      { metadata: { next_after_seq: '2' } },
      { metadata: { next_after_seq: '3' } },
    ]);
  });

  test('count until they are read', async () => {
    const streams = new OpenStreams(limits);
    const read = Promise.withResolvers<void>();
    const waiting = streams.waitForReader(70, read.promise, {});
    expect(streams.bufferedBytes).toBe(70);
    read.resolve();
    await waiting;
    expect(streams.bufferedBytes).toBe(0);
  });
});

describe('A reader that takes nothing', () => {
  test('has its stream ended, with where to resume; what it was sent before is readable', async () => {
    const lines: string[] = [];
    const toMemory = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    const log = pino({ level: 'debug' }, toMemory);
    const scrip = await startTestService({ log, env: { STREAM_STALL_MS: '10' } });
    try {
      const accountId = await openWithLongHistory(scrip);
      const session = connectHttp2(`http://127.0.0.1:${scrip.service.port}`);
      const stream = callStreamHistory(session, accountId);
      const trailers = once(stream, 'trailers');
      // The window of the stream is 64 KiB: the rest waits until it is read here.
      const hasEnded = () => lines.some((line) => line.includes('StreamHistory'));
      await vi.waitUntil(hasEnded, SOON);
      stream.resume();
      const [headers] = (await trailers) as [IncomingHttpHeaders];
      const [info] = Status.decode(
        Buffer.from(String(headers['grpc-status-details-bin']), 'base64'),
      ).details;
      const { reason, metadata } = ErrorInfo.decode(info?.value ?? new Uint8Array());
      expect(reason).toBe('OVERLOADED');
      expect(Number(metadata.get('next_after_seq'))).toBeGreaterThan(0);
      session.destroy();
    } finally {
      await scrip.stop();
    }
  });
});

const ENTRIES = 2_000;

async function openWithLongHistory(scrip: TestService): Promise<string> {
  const accountId = await openWithCredits(scrip, 1n);
  for (let written = 0; written < ENTRIES; written += 1_000)
    await scrip.billing.batch({
      mutations: Array.from({ length: 1_000 }, () => ({
        mutation: {
          $case: 'charge',
          value: { accountId, requestId: requestId(), credits: 0n, reference: 'r'.repeat(200) },
        },
      })),
    });
  return accountId;
}
