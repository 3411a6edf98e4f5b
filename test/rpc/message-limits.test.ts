/** Memory that callers could take without a call in flight: half of a request, a small one that becomes large, unread responses. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Admission } from '../../src/admission/admission.ts';
import { ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { Decompression, TooManyCompressed } from '../../src/rpc/call/decompression.ts';
import { HeldMessages } from '../../src/rpc/call/held-messages.ts';
import { limitMessages } from '../../src/rpc/call/message-limits.ts';
import { OverloadAnswer } from '../../src/rpc/call/overload-answer.ts';
import { Observers } from '../../src/telemetry/observers.ts';
import { openWithCredits } from '../accounts.ts';
import { SOON } from '../process/replica.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { callHttp2, frame } from './http2-call.ts';

const OVERLOADED = '8';

describe('messages that are held', () => {
  const held = () => {
    const givenUp: object[] = [];
    const messages = new HeldMessages({ bytesMax: 100, callsMax: 3 }, (call) => givenUp.push(call));
    return { messages, givenUp };
  };
  const [a, b, c, d] = [{ a: 1 }, { b: 1 }, { c: 1 }, { d: 1 }];

  test('are given up from the longest held on, as long as they are too many bytes', () => {
    const { messages, givenUp } = held();
    messages.add(a, 60);
    messages.add(b, 30);
    messages.add(a, 10);
    expect(givenUp).toEqual([]);
    messages.add(c, 100);
    expect(givenUp).toEqual([a, b]);
    expect(messages).toMatchObject({ bytes: 100, calls: 1 });
  });

  test('are given up from the longest held on, as long as they are too many', () => {
    const { messages, givenUp } = held();
    for (const call of [a, b, c, d]) messages.add(call, 0);
    expect(givenUp).toEqual([a]);
  });

  test('are forgotten when nothing is held any more', () => {
    const { messages } = held();
    messages.add(a, 60);
    messages.remove(a);
    messages.remove(a);
    expect(messages).toMatchObject({ bytes: 0, calls: 0 });
  });
});

describe('decompression', () => {
  const text = Buffer.from('a message');

  test('takes two at a time, and refuses those behind 256 that wait', async () => {
    const decompression = new Decompression();
    let running = 0;
    const one = () =>
      decompression.decompress(gzipSync(text), 'gzip', 100, () => {
        running += 1;
        return false;
      });
    const taken = Array.from({ length: 258 }, one);
    await expect(one()).rejects.toBeInstanceOf(TooManyCompressed);
    expect(running).toBe(2);
    expect(await Promise.all(taken)).toEqual(taken.map(() => text));
    expect(await one()).toEqual(text);
  });

  test('goes on after messages that are too large, that are none, and that nobody waits for', async () => {
    const decompression = new Decompression();
    const one = (message: Buffer, isOver = false) =>
      decompression.decompress(message, 'gzip', text.length, () => isOver);
    const failing = [one(gzipSync(Buffer.alloc(10))), one(text), one(gzipSync(text), true)];
    expect((await Promise.allSettled(failing)).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(await one(gzipSync(text))).toEqual(text);
    await expect(one(gzipSync(Buffer.alloc(10)))).rejects.toMatchObject({
      code: 'ERR_BUFFER_TOO_LARGE',
    });
  });
});

describe('over the network', () => {
  const RESPONSE = Buffer.alloc(30_000);
  const identity = (bytes: Buffer): Buffer => bytes;
  const admission = new Admission({ waitMaxMs: 1_000, inFlightMax: 1_000, onCongestion() {} }, () =>
    performance.now(),
  );
  const context = { overloadAnswer: new OverloadAnswer(admission), observers: new Observers() };
  const server = new Server({
    interceptors: [limitMessages(context, { bytesMax: 100_000, callsMax: 5 })],
  });
  let address: string;
  const sessions: ClientHttp2Session[] = [];

  beforeAll(async () => {
    const definition = {
      path: '/test/Call',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    };
    server.addService(
      { call: definition },
      { call: (_: unknown, respond: sendUnaryData<Buffer>) => respond(null, RESPONSE) },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    address = `http://127.0.0.1:${port}`;
  });
  afterAll(() => {
    for (const session of sessions) session.destroy();
    server.forceShutdown();
  });

  const open = (settings = {}): ClientHttp2Session => {
    const session = connect(address, { settings });
    sessions.push(session);
    return session;
  };
  type Received = { status: string; bytes: number; isClosed: boolean };
  /** A call, and what has come of it. */
  const call = (session: ClientHttp2Session, body: Uint8Array, ends: boolean) => {
    const stream: ClientHttp2Stream = session.request({
      ':method': 'POST',
      ':path': '/test/Call',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const received: Received = { status: '', bytes: 0, isClosed: false };
    const note = (headers: object) => {
      received.status = String(
        Object.entries(headers).find(([name]) => name === 'grpc-status')?.[1] ?? received.status,
      );
    };
    stream.on('response', note).on('trailers', note);
    stream.on('data', (data: Buffer) => {
      received.bytes += data.length;
    });
    stream.on('close', () => {
      received.isClosed = true;
    });
    stream.on('error', () => {});
    stream.write(body);
    if (ends) stream.end();
    return { stream, received };
  };
  const served = { status: '0', bytes: RESPONSE.length + 5, isClosed: true };
  /** Without its end. */
  const REST = Buffer.alloc(10);
  const half = frame(Buffer.alloc(40_000), 0, 40_000 + REST.length);

  test('a request that has not arrived as a whole is refused once others need its room', async () => {
    const session = open();
    const calls = [
      call(session, half, false),
      call(session, half, false),
      call(session, half, false),
    ];
    await vi.waitFor(() => expect(calls[0]?.received.status).toBe(OVERLOADED), SOON);
    expect(calls.map(({ received }) => received.status)).toEqual([OVERLOADED, '', '']);
    // The others are served when the rest arrives, and so is everybody else.
    for (const { stream } of calls.slice(1)) stream.end(REST);
    const other = call(open(), frame(Buffer.alloc(10)), true);
    await vi.waitFor(
      () =>
        expect([...calls.slice(1), other].map(({ received }) => received)).toEqual([
          served,
          served,
          served,
        ]),
      SOON,
    );
    // The caller who does not end it is cut off.
    await vi.waitFor(() => expect(calls[0]?.received.isClosed).toBe(true), SOON);
  });

  test('so is a request in parts of one byte, each of which takes more than its byte', async () => {
    const { stream, received } = call(open(), frame(new Uint8Array(), 0, 80_000), false);
    for (let count = 0; count < 1_000 && received.status === ''; count++) {
      stream.write(Buffer.alloc(1));
      await new Promise(setImmediate);
    }
    await vi.waitFor(() => expect(received.status).toBe(OVERLOADED), SOON);
  });

  test('so is one that has arrived and is not ended, or of which nothing arrives', async () => {
    const session = open();
    const calls = Array.from({ length: 6 }, (_, index) =>
      call(session, index % 2 ? new Uint8Array() : frame(Buffer.alloc(10)), false),
    );
    await vi.waitFor(() => expect(calls[0]?.received.status).toBe(OVERLOADED), SOON);
    for (const { stream } of calls) stream.close();
  });

  test('a response that its caller does not read is dropped once others need its room', async () => {
    const session = open({ initialWindowSize: 0 });
    const calls = [1, 2, 3, 4].map(() => call(session, frame(Buffer.alloc(10)), true));
    await vi.waitFor(
      () => expect(calls.some(({ received }) => received.isClosed)).toBe(true),
      SOON,
    );
    expect(calls.filter(({ received }) => received.isClosed).length).toBe(1);
    // Those who read are served, and others that are left when they do.
    const other = call(open(), frame(Buffer.alloc(10)), true);
    await vi.waitFor(() => expect(other.received).toEqual(served), SOON);
    session.settings({ initialWindowSize: 1_000_000 });
    await vi.waitFor(
      () => expect(calls.filter(({ received }) => received.status === '0').length).toBe(2),
      SOON,
    );
  });
});

describe('compressed requests', () => {
  let scrip: TestService;
  beforeAll(async () => {
    scrip = await startTestService();
  });
  afterAll(() => scrip.stop());

  const headers = { 'grpc-encoding': 'gzip' };
  const path = '/billing.v1.BillingService/Charge';

  test('are all answered, however many become large at once, and memory holds few of them', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    // Bytes of a field that is not there.
    const large = gzipSync(
      Buffer.concat([Buffer.from([162, 1, 128, 128, 128, 1]), Buffer.alloc(2 ** 21)]),
    );
    expect(gunzipSync(large).length / large.length).toBeGreaterThan(500);
    const session = connect(`http://127.0.0.1:${scrip.service.port}`);
    const before = process.memoryUsage().rss;
    const answers = Array.from({ length: 400 }, async () => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      stream.end(frame(large, 1));
      const [received] = (await once(stream, 'response')) as [Record<string, string>];
      return received['grpc-status'] ?? '';
    });
    const statuses = Map.groupBy(await Promise.all(answers), (status) => status);
    session.destroy();
    expect([...statuses.keys()].sort()).toEqual(['3', OVERLOADED]);
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(400);
    const charge = ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 1n });
    const body = frame(gzipSync(ChargeRequest.encode(charge).finish()), 1);
    expect(await callHttp2(scrip, { path, headers, body })).toMatchObject({ 'grpc-status': '0' });
  });
});
