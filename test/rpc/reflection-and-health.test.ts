import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { type ClientReadableStream, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountServiceService } from '../../src/gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../../src/gen/billing/v1/billing_service.ts';
import { EventServiceService } from '../../src/gen/billing/v1/event_service.ts';
import { OperatorServiceService } from '../../src/gen/billing/v1/operator_service.ts';
import { PlanServiceService } from '../../src/gen/billing/v1/plan_service.ts';
import { StatementServiceService } from '../../src/gen/billing/v1/statement_service.ts';
import {
  ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { defined } from '../accounts.ts';
import { healthOf } from '../health.ts';
import { startTestService, type TestService } from '../service.ts';
import { frame } from './http2-call.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const METHODS = [
  ...Object.values(BillingServiceService),
  ...Object.values(AccountServiceService),
  ...Object.values(PlanServiceService),
  ...Object.values(StatementServiceService),
  ...Object.values(EventServiceService),
  ...Object.values(OperatorServiceService),
].map(({ path }) => path.slice(1));
const SERVICES = [...new Set(METHODS.map((method) => defined(method.split('/')[0])))];

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

/** Sends the requests one after the other on one stream. */
async function ask(version: 'v1' | 'v1alpha', ...questions: Question[]): Promise<Answer[]> {
  const { requestSerialize, responseDeserialize } = ServerReflectionService.serverReflectionInfo;
  const call = scrip.channel.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    requestSerialize,
    responseDeserialize,
  );
  for (const messageRequest of questions) call.write({ host: 'here', messageRequest });
  call.end();
  const answers: Answer[] = [];
  const messages: AsyncIterable<ServerReflectionResponse> = call;
  for await (const { messageResponse, originalRequest, validHost } of messages) {
    expect(originalRequest?.messageRequest).toEqual(questions[answers.length]);
    expect(validHost).toBe('here');
    answers.push(defined(messageResponse));
  }
  return answers;
}

const filesIn = (answer: Answer | undefined): FileDescriptorProto[] =>
  answer?.$case === 'fileDescriptorResponse'
    ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
    : expect.fail(`no descriptors: ${JSON.stringify(answer)}`);

/** What a client builds of an answer: fails where an import is missing. */
function registryOf(files: FileDescriptorProto[]) {
  const importsFirst: FileDescriptorProto[] = [];
  const add = (name: string) => {
    if (importsFirst.some((file) => file.name === name)) return;
    const file = defined(files.find((one) => one.name === name));
    file.dependency.forEach(add);
    importsFirst.push(file);
  };
  for (const { name } of files) add(name);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst }));
}

describe.each(['v1', 'v1alpha'] as const)('Reflection %s', (version) => {
  test('lists all services', async () => {
    const [answer] = await ask(version, { $case: 'listServices', value: '' });
    if (answer?.$case !== 'listServicesResponse') return expect.fail('no list');
    const names = answer.value.service.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...SERVICES, 'grpc.health.v1.Health']));
    for (const name of names)
      expect(
        filesIn((await ask(version, { $case: 'fileContainingSymbol', value: name }))[0]),
      ).not.toEqual([]);
  });

  test.each(SERVICES)('describes %s completely: methods, types and imports', async (name) => {
    const [answer] = await ask(version, { $case: 'fileContainingSymbol', value: name });
    const service = registryOf(filesIn(answer)).getService(name);
    expect(service?.methods.map((method) => `${name}/${method.name}`).toSorted()).toEqual(
      METHODS.filter((method) => method.startsWith(`${name}/`)).toSorted(),
    );
    for (const method of service?.methods ?? [])
      expect([method.input.typeName, method.output.typeName]).toEqual([
        `billing.v1.${method.name}Request`,
        `billing.v1.${method.name}Response`,
      ]);
  });

  test('finds the file of every kind of symbol', async () => {
    const symbols = {
      'billing.v1.BillingService.Reserve': 'billing/v1/billing_service.proto',
      'billing.v1.Entry': 'billing/v1/ledger.proto',
      'billing.v1.Entry.Kind': 'billing/v1/ledger.proto',
      'billing.v1.Entry.hash': 'billing/v1/ledger.proto',
      'billing.v1.ErrorReason': 'billing/v1/error_reason.proto',
      'google.rpc.ErrorInfo': 'google/rpc/error_details.proto',
      'google.rpc.BadRequest': 'google/rpc/error_details.proto',
      'google.protobuf.Timestamp': 'google/protobuf/timestamp.proto',
    };
    const answers = await ask(
      version,
      ...Object.keys(symbols).map((value) => ({ $case: 'fileContainingSymbol' as const, value })),
    );
    expect(answers.map((answer) => filesIn(answer)[0]?.name)).toEqual(Object.values(symbols));
  });

  test('returns a file by name, with its imports', async () => {
    const value = 'billing/v1/account_service.proto';
    const files = filesIn((await ask(version, { $case: 'fileByFilename', value }))[0]);
    expect(files.map(({ name }) => name).toSorted()).toEqual([
      'billing/v1/account_service.proto',
      'billing/v1/budget.proto',
      'billing/v1/ledger.proto',
      'billing/v1/pricing.proto',
      'google/protobuf/duration.proto',
      'google/protobuf/timestamp.proto',
    ]);
    expect(registryOf(files).getMessage('billing.v1.OpenAccountRequest')?.fields.length).toBe(6);
  });

  test('returns errors for unknown names and continues', async () => {
    const [symbol, file, extension, known] = await ask(
      version,
      { $case: 'fileContainingSymbol', value: 'billing.v1.Nothing' },
      { $case: 'fileByFilename', value: 'nothing.proto' },
      { $case: 'allExtensionNumbersOfType', value: 'billing.v1.Entry' },
      { $case: 'fileContainingSymbol', value: 'billing.v1.Entry' },
    );
    expect(symbol).toMatchObject({ value: { errorCode: status.NOT_FOUND } });
    expect(file).toMatchObject({ value: { errorCode: status.NOT_FOUND } });
    expect(extension?.$case).toBe('errorResponse');
    expect(filesIn(known).length).toBeGreaterThan(0);
  });
});

describe('Reflection', () => {
  test('can be switched off', async () => {
    const own = await startTestService({ env: { REFLECTION: 'false' } });
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const { requestSerialize, responseDeserialize } = ServerReflectionService.serverReflectionInfo;
    const call = own.channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.end();
    await expect(call.toArray()).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
    await own.stop();
  });
});

/** Asks for a file as often as the bytes say, and reads no answer. */
function askAndIgnore(own: TestService, bytes: number) {
  const session = connectHttp2(`http://127.0.0.1:${own.service.port}`, {
    settings: { initialWindowSize: 1_000 },
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  const messageRequest: Question = {
    $case: 'fileContainingSymbol',
    value: 'billing.v1.BillingService',
  };
  const request = frame(ServerReflectionRequest.encode({ host: '', messageRequest }).finish());
  const requests = Array.from({ length: Math.ceil(bytes / request.length) }, () => request);
  const isTaken = new Promise((resolve) => stream.write(Buffer.concat(requests), resolve));
  return { session, stream, isTaken };
}

describe('A reader of reflection that takes no answers', () => {
  test('is asked nothing more', async () => {
    const { session, stream, isTaken } = askAndIgnore(scrip, 500_000);
    try {
      await once(stream, 'response');
      // The service reads 64 KiB ahead, and would have made answers of a gigabyte for the rest.
      const others = async () => {
        for (let asked = 0; asked < 100; asked += 1) await healthOf(scrip);
      };
      const first = await Promise.race([isTaken.then(() => 'taken'), others().then(() => 'waits')]);
      expect(first).toBe('waits');
    } finally {
      session.destroy();
    }
  });

  test('is given up after a while', async () => {
    const own = await startTestService({ env: { STREAM_STALL_MS: '10' } });
    const { session, stream } = askAndIgnore(own, 100);
    await once(stream, 'close');
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    session.destroy();
    await own.stop();
  });
});

type Health = { readonly status: unknown };

describe('Health', () => {
  test.each(['', 'readiness', 'liveness', ...SERVICES])('of %j is SERVING', async (service) => {
    expect(await healthOf(scrip, service)).toBe('SERVING');
  });

  test('of an unknown service is NOT_FOUND', async () => {
    await expect(healthOf(scrip, 'billing.v1.Nothing')).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  const watch = (service: TestService): ClientReadableStream<object> => {
    const { path, requestSerialize, responseDeserialize } = defined(healthService['Watch']);
    return service.channel
      .makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
        service: 'billing.v1.BillingService',
      })
      .on('error', () => {});
  };

  test('has a limit of watchers, and is told to everybody else', async () => {
    const own = await startTestService({ env: { STREAMS_PER_CALLER_MAX: '2' } });
    const first = watch(own);
    await Promise.all([once(first, 'data'), once(watch(own), 'data')]);
    const [refused] = await once(watch(own), 'error');
    expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(await healthOf(own)).toBe('SERVING');
    first.cancel();
    await expect.poll(() => once(watch(own), 'data').catch(() => null)).not.toBeNull();
    await own.stop();
  });

  test('changes to NOT_SERVING for watchers when the replica stops', async () => {
    const own = await startTestService();
    const call = watch(own);
    const seen: unknown[] = [];
    const stopped = new Promise<void>((resolve) => {
      call.on('data', (health: Health) => {
        seen.push(health.status);
        if (seen.length === 1) void own.service.stop();
        else resolve();
      });
    });
    await stopped;
    expect(seen).toEqual(['SERVING', 'NOT_SERVING']);
    own.close();
  });
});
