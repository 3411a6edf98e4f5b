/** A reader that takes nothing must cost the service a few messages, however many events there are. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  StreamEventsRequest,
  StreamEventsResponse,
} from '../../src/gen/billing/v1/event_service.ts';
import { execute } from '../postgres.ts';
import { startTestService, type TestService } from '../service.ts';
import { eventsOf, from } from './given.ts';

const LENGTH = 20_000;

let scrip: TestService;
let session: ClientHttp2Session;
beforeAll(async () => {
  scrip = await startTestService();
  session = connect(`http://127.0.0.1:${scrip.service.port}`);
  await execute(
    scrip.databaseUrl,
    `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id)
     select 'acme', gen_random_uuid(), seq, 'balance.low', now(),
       jsonb_build_object('note', repeat('x', 200)), '', ''
     from generate_series(1, ${LENGTH}) as seq`,
  );
  while ((await newest()) < BigInt(LENGTH)) await sleep(100);
});
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

/** A call by HTTP/2 alone, with its window of 64 KiB. */
function call() {
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

test('a reader that takes nothing holds the service back, and gets everything in the end', async () => {
  const stream = call();
  await once(stream, 'response');
  await sleep(1_500);
  // Only the owner can do this: what is read from now on is told from what was read before.
  await execute(scrip.databaseUrl, `update events set span_id = 'later'`);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  const events = messagesIn(Buffer.concat(chunks)).flatMap((message) => message.events);
  expect(events.map(({ position }) => position)).toEqual(from(1, LENGTH));
  const readBefore = events.filter(({ spanId }) => spanId !== 'later').length;
  expect(readBefore).toBeGreaterThan(0);
  expect(readBefore).toBeLessThan(LENGTH / 2);
});

test('events come many per message, and the last of each is where to go on', async () => {
  let messages = 0;
  for await (const { events, nextAfterPosition } of scrip.events.streamEvents({})) {
    messages += 1;
    expect(events.at(-1)?.position).toBe(nextAfterPosition);
  }
  expect(messages).toBeLessThan(LENGTH / 100);
  expect((await eventsOf(scrip, { afterPosition: BigInt(LENGTH - 1) })).length).toBe(1);
});
