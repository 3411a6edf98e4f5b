/** The console's calls of the gRPC server, against a server that the test holds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { Metadata, Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bridge } from '../../src/console/bridge.ts';
import { findOffered } from '../../src/console/offered-methods.ts';
import { readDescriptors } from '../../src/rpc/descriptors.ts';

const registry = readDescriptors(false);
const method = findOffered(registry).get('billing.v1.BillingService/StreamHistory');
if (!method) throw new Error('the console offers no history');
const page = Buffer.from(toBinary(method.output, create(method.output)));

type Held = ServerWritableStream<Buffer, Buffer>;

let directory: string;
let server: Server;
let bridge: Bridge;
/** Streams that the server has not ended. */
const open = new Set<Held>();
let mostOpen = 0;
let onOpen: () => void = () => {};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-bridge-'));
  const path = join(directory, 'grpc');
  server = new Server();
  const asIs = (bytes: Buffer) => bytes;
  server.addService(
    {
      history: {
        path: '/billing.v1.BillingService/StreamHistory',
        requestStream: false,
        responseStream: true,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      history: (call: Held) => {
        open.add(call);
        mostOpen = Math.max(mostOpen, open.size);
        onOpen();
      },
    },
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  bridge = new Bridge(path, registry);
});
afterAll(async () => {
  bridge.close();
  server.forceShutdown();
  await rm(directory, { recursive: true });
});

test('four streams are read at a time, and the others wait for them', async () => {
  const ask = () =>
    bridge.call(method, create(method.input), new Metadata(), { messages: 1, rows: 1 });
  onOpen = () => {
    if (open.size < 4) return;
    // All of these are open at the same time: now they may end.
    for (const call of open) {
      call.write(page);
      call.end();
    }
    open.clear();
  };
  const answers = await Promise.all(Array.from({ length: 12 }, ask));
  expect(answers.map((answer) => (answer as unknown[]).length)).toEqual(Array(12).fill(1));
  expect(mostOpen).toBe(4);
});
