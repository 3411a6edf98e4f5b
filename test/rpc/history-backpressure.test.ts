/** A stream whose reader does not read keeps only a few messages in memory, however long the history. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { StreamHistoryResponse } from '../../src/gen/billing/v1/billing_service.ts';
import { entriesOf, openWithCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { callStreamHistory } from './http2-call.ts';

const LENGTH = 20_002;

const lines: string[] = [];
const toMemory = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk));
    done();
  },
});

let scrip: TestService;
let accountId: string;
let session: ClientHttp2Session;
beforeAll(async () => {
  scrip = await startTestService({ log: pino({ level: 'debug' }, toMemory) });
  session = connect(`http://127.0.0.1:${scrip.service.port}`);
  accountId = await openWithCredits(scrip, 1n);
  for (let written = 2; written < LENGTH; written += 1_000)
    await scrip.billing.batch({
      mutations: Array.from({ length: 1_000 }, () => ({
        mutation: { $case: 'charge', value: { accountId, requestId: requestId(), credits: 0n } },
      })),
    });
});
afterAll(async () => {
  session.close();
  await scrip.stop();
});

function messagesIn(bytes: Buffer): StreamHistoryResponse[] {
  const messages: StreamHistoryResponse[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(StreamHistoryResponse.decode(bytes.subarray(at + 5, end)));
    at = end;
  }
  return messages;
}

/** The number of StreamHistory calls that have ended. */
const ended = () => lines.filter((line) => line.includes('StreamHistory')).length;

test('a reader that does not read stops the reads of the service, and gets everything later', async () => {
  const stream = callStreamHistory(session, accountId);
  await once(stream, 'response');
  // Meanwhile the service reads and sends as much as this stream would need to get to its end.
  expect((await entriesOf(scrip, accountId)).length).toBe(LENGTH);
  // Resetting statistics needs the owner. It separates later reads from earlier ones.
  await execute(scrip.databaseUrl, `update entries set reference = 'later' where account_id = $1`, [
    accountId,
  ]);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  const entries = messagesIn(Buffer.concat(chunks)).flatMap((message) => message.entries);
  expect(entries.map(({ seq }) => seq)).toEqual(
    Array.from({ length: LENGTH }, (_, index) => BigInt(index + 1)),
  );
  const readBefore = entries.filter(({ reference }) => reference !== 'later').length;
  expect(readBefore).toBeGreaterThan(0);
  expect(readBefore).toBeLessThan(LENGTH / 2);
});

test('the stream of a reader that does not read ends when the reader disconnects', async () => {
  const stream = callStreamHistory(session, accountId);
  stream.on('error', () => {});
  await once(stream, 'response');
  const before = ended();
  // Another stream ends meanwhile, and this one does not.
  expect((await entriesOf(scrip, accountId)).length).toBe(LENGTH);
  expect(ended()).toBe(before + 1);
  stream.destroy();
  await vi.waitFor(() => expect(ended()).toBe(before + 2), { timeout: 60_000 });
});
