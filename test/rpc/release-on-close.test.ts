/** What a call held is garbage when it is closed: at the next collection of what is young, and no later. */
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
import { trace } from '@opentelemetry/api';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unaryHandler } from '../../src/rpc/call/handlers.ts';
import { InFlightCalls } from '../../src/rpc/call/in-flight-calls.ts';

type Call = ServerUnaryCall<Held, Buffer>;
type Held = { readonly memory: ArrayBuffer };

/** So little that no full collection is begun for it, so much that nothing else comes near. */
const HELD = 2 ** 18;
const CALLS = 8;
const PATH = '/test/Call';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/** Each request holds memory of its own, and nothing holds the request but its call. */
const deserialize = (): Held => ({ memory: new ArrayBuffer(HELD) });
const identity = (bytes: Buffer): Buffer => bytes;

const context = {
  tracer: trace.getTracer('test'),
  log: pino({ level: 'silent' }),
  inFlight: new InFlightCalls(),
};
const server = new Server();
let client: Client;
let handler: (call: Call, respond: sendUnaryData<Buffer>) => void;

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
  server.addService(
    { call: definition },
    { call: (call: Call, respond: sendUnaryData<Buffer>) => handler(call, respond) },
  );
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

const call = () =>
  new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(PATH, identity, identity, Buffer.alloc(0), (error) =>
      error ? reject(error) : resolve(),
    );
  });

/** How many closed calls still hold their request after a collection of what is young. */
async function heldAfterCalls(): Promise<number> {
  await call();
  await sleep(50);
  collect();
  // Memory is given back a moment later.
  await sleep(50);
  const before = process.memoryUsage().arrayBuffers;
  for (let index = 0; index < CALLS; index++) await call();
  await sleep(50);
  collect({ type: 'minor' });
  await sleep(50);
  return (process.memoryUsage().arrayBuffers - before) / HELD;
}

test('a closed call retains nothing after a minor collection', async () => {
  handler = unaryHandler(context, 'Call', async () => ({ response: Buffer.alloc(0) }));
  expect(await heldAfterCalls()).toBeLessThan(0.5);
});

test('one of any other server holds all: when this fails, Node, V8 or grpc-js have become better', async () => {
  handler = (_call, respond) => respond(null, Buffer.alloc(0));
  expect(await heldAfterCalls()).toBeGreaterThan(CALLS - 0.5);
});
