/** A stream whose client reads nothing costs the service a few messages, however many events there are. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  StreamEventsRequest,
  StreamEventsResponse,
} from '../../src/gen/billing/v1/event_service.ts';
import { execute } from '../postgres.ts';
import { startTestService, type TestService } from '../service.ts';
import { eventsOf, from } from './given.ts';
import { tokenAt } from './stream-token.ts';

const LENGTH = 20_000;

let scrip: TestService;
let session: ClientHttp2Session;
beforeAll(async () => {
  scrip = await startTestService();
  session = connect(`http://127.0.0.1:${scrip.service.port}`);
  await execute(
    scrip.databaseUrl,
    `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id, sampled, data_hash, hash)
     select 'acme', gen_random_uuid(), seq, 'balance.low', now(),
       jsonb_build_object('note', repeat('x', 200)), '', '', false, '', ''
     from generate_series(1, ${LENGTH}) as seq`,
  );
  await vi.waitFor(async () => expect(await newest()).toBe(BigInt(LENGTH)), {
    timeout: 60_000,
    interval: 100,
  });
}, 90_000);
afterAll(async () => {
  session.close();
  await scrip.stop();
});

async function newest(): Promise<bigint> {
  const [row] = await execute(
    scrip.databaseUrl,
    `select position from event_cursors where name = 'assigned'`,
  );
  return BigInt(String(row?.['position']));
}

/** Calls StreamEvents over plain HTTP/2, whose window is 64 KiB. */
function callStreamEvents() {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/billing.v1.EventService/StreamEvents',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const message = StreamEventsRequest.encode(StreamEventsRequest.fromPartial({})).finish();
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  return stream;
}

function messagesIn(bytes: Buffer): StreamEventsResponse[] {
  const messages: StreamEventsResponse[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(StreamEventsResponse.decode(bytes.subarray(at + 5, end)));
    at = end;
  }
  return messages;
}

test('a client that does not read holds the stream back, and gets every event in the end', async () => {
  const stream = callStreamEvents();
  await once(stream, 'response');
  // Meanwhile the service reads and sends as much as this stream would need to get to its end.
  expect((await eventsOf(scrip)).length).toBe(LENGTH);
  // Marks the events that the stream reads from now on. Only the table's owner may update them.
  await execute(scrip.databaseUrl, `update events set span_id = 'later'`);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  const events = messagesIn(Buffer.concat(chunks)).flatMap((message) => message.events);
  expect(events.map(({ position }) => position)).toEqual(from(1, LENGTH));
  const readBefore = events.filter(({ spanId }) => spanId !== 'later').length;
  expect(readBefore).toBeGreaterThan(0);
  expect(readBefore).toBeLessThan(LENGTH / 2);
});

test('a message carries many events, and the position of the last one to resume after', async () => {
  let messages = 0;
  for await (const { events, nextToken } of scrip.events.streamEvents({})) {
    messages += 1;
    expect(tokenAt(events.at(-1)?.position ?? 0n)).toBe(nextToken);
  }
  expect(messages).toBeLessThan(LENGTH / 100);
  expect((await eventsOf(scrip, { afterToken: tokenAt(BigInt(LENGTH - 1)) })).length).toBe(1);
});
