/** The gRPC server: the six services, health and reflection; in a sandbox its service, too. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescMessage, FileRegistry } from '@bufbuild/protobuf';
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
import { accountService } from './account-service/account-service.ts';
import { billingService } from './billing-service/billing-service.ts';
import { accountGate } from './call/account-gate.ts';
import type { InFlightCalls } from './call/in-flight-calls.ts';
import { limitMessages } from './call/message-limits.ts';
import { requestDecoder } from './call/request-decoder.ts';
import { replaceServerMethods, transportFailures } from './call/transport-failures.ts';
import { setConnectionOptions } from './connection-limits.ts';
import { readDescriptors } from './descriptors.ts';
import { eventService } from './event-service/event-service.ts';
import { operatorService } from './operator-service/operator-service.ts';
import { planService } from './plan-service/plan-service.ts';
import { addReflection } from './reflection.ts';
import { sandboxService } from './sandbox-service/sandbox-service.ts';
import { TlsServerCredentials } from './server-credentials.ts';
import type { SharedContext } from './service-context.ts';
import {
  SANDBOX_DEFINITION,
  SANDBOX_SERVICE,
  SERVICE_DEFINITIONS,
  SERVICE_NAMES,
  type ServiceName,
} from './service-definitions.ts';
import { statementService } from './statement-service/statement-service.ts';

/** SERVING as long as the process answers: restarting it would not help against anything else. */
const LIVENESS = 'liveness';
/** SERVING while calls can be served. The empty name is the server as a whole. */
const READINESS = ['', 'readiness', ...SERVICE_NAMES];

/** By service: what makes the handlers of its methods. */
const IMPLEMENTATIONS: Readonly<
  Record<ServiceName, (context: SharedContext) => UntypedServiceImplementation>
> = {
  'billing.v1.BillingService': billingService,
  'billing.v1.AccountService': accountService,
  'billing.v1.PlanService': planService,
  'billing.v1.StatementService': statementService,
  'billing.v1.EventService': eventService,
  'billing.v1.OperatorService': operatorService,
};

/** What it takes to serve calls on the accounts of a cell. */
export type Conditions = { readonly hasReliableClock: boolean; readonly hasDatabase: boolean };

export type RpcServer = {
  readonly port: number;
  /** Whether it reports SERVING. */
  readonly isReady: () => boolean;
  /** Reports SERVING if all of these hold in any cell, else NOT_SERVING, until it stops. It takes calls either way. */
  report(cell: string, conditions: Partial<Conditions>): void;
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
  /** Path of a Unix socket that it listens on, too, without TLS: see src/console. Null: there is none. */
  readonly privateSocket: string | null;
  readonly withReflection: boolean;
  /** Milliseconds after which a connection takes no more calls; 0: never. */
  readonly connectionAgeMaxMs: number;
};

export async function startRpcServer(
  context: SharedContext,
  { host, port, tls, privateSocket, withReflection, connectionAgeMaxMs }: RpcServerOptions,
): Promise<RpcServer> {
  const server = new Server({
    // Nothing reads channelz, and it keeps the records of sessions that have ended.
    'grpc.enable_channelz': 0,
    // Clients accept 4 MB, and the response to a batch is a little larger than its request.
    'grpc.max_receive_message_length': 3 * 1024 * 1024,
    ...(connectionAgeMaxMs > 0 && { 'grpc.max_connection_age_ms': connectionAgeMaxMs }),
    interceptors: [transportFailures(context), limitMessages(context)],
  });
  setConnectionOptions(server);
  replaceServerMethods(server, context);
  const { sandbox } = context;
  const descriptors = readDescriptors(sandbox !== null);
  for (const name of SERVICE_NAMES)
    addService(
      server,
      context,
      descriptors,
      SERVICE_DEFINITIONS[name],
      IMPLEMENTATIONS[name](context),
    );
  if (sandbox) {
    const implementation = sandboxService(
      context.cells.any(),
      sandbox,
    ) as UntypedServiceImplementation;
    addService(server, context, descriptors, SANDBOX_DEFINITION, implementation);
  }
  const health = new HealthImplementation();
  health.addToServer(server);
  if (withReflection) addReflection(server, descriptors, context.streams);

  let isStopping = false;
  const conditions = new Map<string, Conditions>();
  const isReady = () =>
    !isStopping &&
    [...conditions.values()].some(
      ({ hasReliableClock, hasDatabase }) => hasReliableClock && hasDatabase,
    );
  const showState = () => {
    const state = isReady() ? 'SERVING' : 'NOT_SERVING';
    for (const name of READINESS) health.setStatus(name, state);
    if (sandbox) health.setStatus(SANDBOX_SERVICE, state);
  };
  showState();
  health.setStatus(LIVENESS, 'SERVING');
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const credentials = tls ? new TlsServerCredentials(tls) : ServerCredentials.createInsecure();
  const boundPort = await bind(server, address, credentials);
  if (privateSocket !== null)
    await bind(server, `unix:${privateSocket}`, ServerCredentials.createInsecure());
  return {
    port: boundPort,
    isReady,
    report(cell, changed) {
      const known = conditions.get(cell) ?? { hasReliableClock: false, hasDatabase: true };
      conditions.set(cell, { ...known, ...changed });
      showState();
    },
    async stop(graceMs) {
      isStopping = true;
      showState();
      await shutDown(server, context.inFlight, graceMs);
    },
  };
}

/**
 * Adds a service. Its handlers get a Failure in place of a request that cannot be decoded exactly. They may
 * answer with bytes, because responses are stored as they are sent.
 */
function addService(
  server: Server,
  context: SharedContext,
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
  address: string,
  credentials: ServerCredentials,
): Promise<number> {
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
  const answered = allAnswered(inFlight);
  await Promise.race([closed, answered, sleep(graceMs, undefined, { ref: false })]);
  server.forceShutdown();
}

/** Calls that were on their way when the server said that it stops are answered as well. */
async function allAnswered(inFlight: InFlightCalls): Promise<void> {
  do {
    await inFlight.drained();
    await sleep(FLUSH_MS);
  } while (inFlight.count > 0);
}
