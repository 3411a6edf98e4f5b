/** The gRPC server: the five services, health and reflection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { TlsFiles } from '../authentication/tls-files.ts';
import { AccountServiceService } from '../gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../gen/billing/v1/billing_service.ts';
import { EventServiceService } from '../gen/billing/v1/event_service.ts';
import { PlanServiceService } from '../gen/billing/v1/plan_service.ts';
import { StatementServiceService } from '../gen/billing/v1/statement_service.ts';
import { accountService } from './account-service/account-service.ts';
import { billingService } from './billing-service/billing-service.ts';
import { accountGate } from './call/account-gate.ts';
import type { InFlightCalls } from './call/in-flight-calls.ts';
import { requestDecoder } from './call/request-decoder.ts';
import { replaceServerMethods, transportFailures } from './call/transport-failures.ts';
import { setConnectionOptions } from './connection-limits.ts';
import { eventService } from './event-service/event-service.ts';
import { planService } from './plan-service/plan-service.ts';
import { addReflection } from './reflection.ts';
import { TlsServerCredentials } from './server-credentials.ts';
import type { ServiceContext } from './service-context.ts';
import { statementService } from './statement-service/statement-service.ts';

/** SERVING as long as the process answers: restarting it would not help against anything else. */
const LIVENESS = 'liveness';
/** SERVING while calls can be served. The empty name is the server as a whole. */
const READINESS = [
  '',
  'readiness',
  'billing.v1.BillingService',
  'billing.v1.AccountService',
  'billing.v1.PlanService',
  'billing.v1.StatementService',
  'billing.v1.EventService',
];

/** What it takes to serve calls. */
export type Conditions = { readonly hasReliableClock: boolean; readonly hasDatabase: boolean };

export type RpcServer = {
  readonly port: number;
  /** Reports SERVING if all of these hold, else NOT_SERVING, until it stops. It takes calls either way. */
  report(conditions: Partial<Conditions>): void;
  /** Reports NOT_SERVING, accepts no more calls, and finishes those it has for at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

// grpc-js would log to stderr; failures are logged here, with their trace.
setLogVerbosity(logVerbosity.NONE);

export type RpcServerOptions = {
  readonly host: string;
  readonly port: number;
  /** Null: without TLS. */
  readonly tls: TlsFiles | null;
  readonly withReflection: boolean;
};

export async function startRpcServer(
  context: ServiceContext,
  { host, port, tls, withReflection }: RpcServerOptions,
): Promise<RpcServer> {
  const server = new Server({
    // Nothing reads channelz, and it keeps the records of sessions that have ended.
    'grpc.enable_channelz': 0,
    // Clients accept 4 MB, and the response to a batch is a little larger than its request.
    'grpc.max_receive_message_length': 3 * 1024 * 1024,
    interceptors: [transportFailures(context)],
  });
  setConnectionOptions(server);
  replaceServerMethods(server, context);
  const descriptors = readDescriptors();
  addService(server, context, descriptors, BillingServiceService, billingService(context));
  addService(server, context, descriptors, AccountServiceService, accountService(context));
  addService(server, context, descriptors, PlanServiceService, planService(context));
  addService(server, context, descriptors, StatementServiceService, statementService(context));
  addService(server, context, descriptors, EventServiceService, eventService(context));
  const health = new HealthImplementation();
  health.addToServer(server);
  if (withReflection) addReflection(server, descriptors);

  let isStopping = false;
  let conditions: Conditions = { hasReliableClock: false, hasDatabase: true };
  const report = (changed: Partial<Conditions>) => {
    conditions = { ...conditions, ...changed };
    const isReady = conditions.hasReliableClock && conditions.hasDatabase && !isStopping;
    for (const name of READINESS) health.setStatus(name, isReady ? 'SERVING' : 'NOT_SERVING');
  };
  report({});
  health.setStatus(LIVENESS, 'SERVING');
  return {
    port: await bind(server, host, port, tls),
    report,
    async stop(graceMs) {
      isStopping = true;
      report({});
      await shutDown(server, context.inFlight, graceMs);
    },
  };
}

/** The services that the server offers, and their messages. */
function readDescriptors(): FileRegistry {
  const bytes = readFileSync(join(import.meta.dirname, '../gen/descriptor.binpb'));
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
}

/**
 * Adds a service. Its handlers get a Failure in place of a request that cannot be decoded exactly. They may
 * answer with bytes, because responses are stored as they are sent.
 */
function addService(
  server: Server,
  context: ServiceContext,
  descriptors: FileRegistry,
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
) {
  const methods = Object.entries(definition).map(([name, method]) => {
    const { path, requestDeserialize, responseSerialize } = method;
    const input = inputOf(descriptors, path);
    const refusalOf = accountGate(context, input);
    const decode = requestDecoder(input, requestDeserialize);
    const serialize = (response: unknown) =>
      response instanceof Uint8Array
        ? Buffer.from(response.buffer, response.byteOffset, response.byteLength)
        : responseSerialize(response);
    const deserialize = (bytes: Buffer) => refusalOf(bytes) ?? decode(bytes);
    return [name, { ...method, requestDeserialize: deserialize, responseSerialize: serialize }];
  });
  server.addService(Object.fromEntries(methods), implementation);
}

/** The request of a method, whose path is such as "/billing.v1.BillingService/Reserve". */
function inputOf(descriptors: FileRegistry, path: string): DescMessage {
  const [, service = '', name] = path.split('/');
  const method = descriptors.getService(service)?.methods.find((one) => one.name === name);
  if (!method) throw new Error(`the descriptors lack ${path}`);
  return method.input;
}

async function bind(
  server: Server,
  host: string,
  port: number,
  tls: TlsFiles | null,
): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const credentials = tls ? new TlsServerCredentials(tls) : ServerCredentials.createInsecure();
  return await new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, boundPort) => {
      if (error) reject(new Error(`cannot listen on ${address}: ${systemError(error)}`));
      else resolve(boundPort);
    });
  });
}

/** The system's error, such as "EADDRINUSE: …", without the text that grpc-js puts around it. */
const systemError = ({ message }: Error): string => /E[A-Z]+: [^\]]*/.exec(message)?.[0] ?? message;

/** How long responses that were given to grpc-js may take to leave through the socket. */
const FLUSH_MS = 250;

/**
 * Accepts no more calls, and waits until the present ones are answered, for at most `graceMs`. Then
 * it cuts what is left, because a client that watches the health of the service would never hang up.
 */
async function shutDown(server: Server, inFlight: InFlightCalls, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
  });
  const answered = inFlight.drained().then(() => sleep(FLUSH_MS));
  await Promise.race([closed, answered, sleep(graceMs, undefined, { ref: false })]);
  server.forceShutdown();
}
