/** A closed call of the service retains nothing: its request is collected with the young generation. */
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Admission } from '../../src/admission/admission.ts';
import { ALLOW_ALL } from '../../src/policy/allow-all.ts';
import type { Identity } from '../../src/policy/identity.ts';
import { NOTHING_ALLOWED } from '../../src/policy/permissions.ts';
import { RateLimits } from '../../src/policy/rate-limits.ts';
import { setAccess } from '../../src/rpc/call/access.ts';
import { AnswerTime } from '../../src/rpc/call/answer-time.ts';
import { AuditLog } from '../../src/rpc/call/audit-log.ts';
import { Authorization } from '../../src/rpc/call/authorization.ts';
import { unaryHandler } from '../../src/rpc/call/handlers.ts';
import { InFlightCalls } from '../../src/rpc/call/in-flight-calls.ts';
import { OpenStreams } from '../../src/rpc/call/open-streams.ts';
import { OverloadAnswer } from '../../src/rpc/call/overload-answer.ts';
import { Observers } from '../../src/telemetry/observers.ts';
import { Tracing } from '../../src/telemetry/tracing.ts';

type Request = { readonly memory: ArrayBuffer };
type Call = ServerUnaryCall<Request, Buffer>;
type Handler = (call: Call, respond: sendUnaryData<Buffer>) => void;

/** Too little to cause a full collection, and much more than the other buffers of the process. */
const REQUEST_BYTES = 2 ** 18;
const CALLS = 8;
const PATH = '/test/Call';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

const identity = (bytes: Buffer): Buffer => bytes;
let requestBytes = 0;

/** Every request has memory of its own, which only its call refers to. */
const deserialize = (): Request => ({ memory: new ArrayBuffer(requestBytes) });

const admission = new Admission({ waitMaxMs: 1_000, inFlightMax: 1_000, onCongestion() {} }, () =>
  performance.now(),
);
const log = pino({ level: 'silent' });
const monotonic = () => performance.now();
const context = {
  admission,
  authorization: new Authorization({
    policy: ALLOW_ALL,
    rates: new RateLimits(),
    audit: new AuditLog(log, monotonic),
    monotonic,
    now: () => Date.now(),
  }),
  overloadAnswer: new OverloadAnswer(admission),
  answerTime: new AnswerTime({ now: () => Date.now(), isReliable: true }, false),
  streams: new OpenStreams({ streamsMax: 1, perCallerMax: 1, stallMs: 1_000, bufferedBytesMax: 1 }),
  tracing: new Tracing(),
  observers: new Observers(),
  log,
  inFlight: new InFlightCalls(),
};
const caller: Identity = {
  caller: 'test',
  method: 'HEADER',
  certificate: '',
  claims: {},
  until: null,
};
const access = {
  identity: caller,
  permissions: ALLOW_ALL.permissionsOf(caller) ?? NOTHING_ALLOWED,
  onBehalfOf: '',
};
const server = new Server();
let client: Client;
let handler: Handler;
let closed: Promise<unknown>[] = [];

const observe: Handler = (call, respond) => {
  const { stream } = (call as unknown as { call: { stream: ServerHttp2Stream } }).call;
  setAccess(stream, access);
  closed.push(once(stream, 'close'));
  handler(call, respond);
};

beforeAll(async () => {
  const definition = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: deserialize,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService({ call: definition }, { call: observe });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(() => {
  client.close();
  server.forceShutdown();
});

/** Makes calls one after the other, and waits until the server has closed them. */
async function makeCalls(count: number) {
  closed = [];
  for (let index = 0; index < count; index++)
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(PATH, identity, identity, Buffer.alloc(0), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  await Promise.all(closed);
  closed = [];
}

const arrayBuffers = () => process.memoryUsage().arrayBuffers;

/** A full collection frees array buffers shortly after it has ended. */
async function collectAll() {
  collect();
  for (let before = Number.POSITIVE_INFINITY; arrayBuffers() < before; ) {
    before = arrayBuffers();
    await sleep(50);
  }
}

/** Makes calls, then runs a minor collection. Returns what counts the requests that are retained. */
async function retainedRequests(): Promise<() => number> {
  requestBytes = 0;
  await makeCalls(1);
  await collectAll();
  const before = arrayBuffers();
  requestBytes = REQUEST_BYTES;
  await makeCalls(CALLS);
  collect({ type: 'minor' });
  return () => (arrayBuffers() - before) / REQUEST_BYTES;
}

test('a minor collection frees the requests of closed calls', async () => {
  handler = unaryHandler(context, 'test', 'Estimate', async () => ({ response: Buffer.alloc(0) }));
  const retained = await retainedRequests();
  await vi.waitFor(() => expect(retained()).toBeLessThan(0.5), { timeout: 60_000 });
});

test('other servers of grpc-js retain them: if this fails, the release is not needed any more', async () => {
  handler = (_call, respond) => respond(null, Buffer.alloc(0));
  const retained = await retainedRequests();
  await sleep(50);
  expect(retained()).toBeGreaterThan(CALLS - 0.5);
});
