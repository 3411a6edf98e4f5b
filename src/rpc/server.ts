/** The gRPC server: the services, health and reflection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { AccountServiceService } from '../gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../gen/billing/v1/billing_service.ts';
import { EventServiceService } from '../gen/billing/v1/event_service.ts';
import { PlanServiceService } from '../gen/billing/v1/plan_service.ts';
import { StatementServiceService } from '../gen/billing/v1/statement_service.ts';
import { accountService } from './account-service/account-service.ts';
import { billingService } from './billing-service/billing-service.ts';
import type { InFlight } from './call/in-flight-calls.ts';
import { eventService } from './event-service/event-service.ts';
import { planService } from './plan-service/plan-service.ts';
import { addReflection } from './reflection.ts';
import type { ServiceContext } from './service-context.ts';
import { statementService } from './statement-service/statement-service.ts';

const SERVICES = [
  'billing.v1.BillingService',
  'billing.v1.AccountService',
  'billing.v1.PlanService',
  'billing.v1.StatementService',
  'billing.v1.EventService',
];

export type RpcServer = {
  readonly port: number;
  /** Says NOT_SERVING, takes no more calls, finishes those it has; cuts what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

setLogVerbosity(logVerbosity.NONE);

export async function startRpcServer(
  context: ServiceContext,
  host: string,
  port: number,
  withReflection: boolean,
): Promise<RpcServer> {
  const server = new Server({
    // Session bookkeeping that nobody reads and that is kept after sessions end.
    'grpc.enable_channelz': 0,
    // Below the 4 MB that clients take: the answer to a batch is a little larger than its request.
    'grpc.max_receive_message_length': 3 * 1024 * 1024,
  });
  add(server, BillingServiceService, billingService(context));
  add(server, AccountServiceService, accountService(context));
  add(server, PlanServiceService, planService(context));
  add(server, StatementServiceService, statementService(context));
  add(server, EventServiceService, eventService(context));
  const health = new HealthImplementation();
  health.addToServer(server);
  if (withReflection)
    addReflection(server, readFileSync(join(import.meta.dirname, '../gen/descriptor.binpb')));

  const bound = await bind(server, host, port);
  for (const service of ['', ...SERVICES]) health.setStatus(service, 'SERVING');
  return {
    port: bound,
    async stop(graceMs) {
      for (const service of ['', ...SERVICES]) health.setStatus(service, 'NOT_SERVING');
      await shutDown(server, context.inFlight, graceMs);
    },
  };
}

/** Responses that are stored as they are sent come as bytes and are sent as they come. */
function add(
  server: Server,
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
) {
  const methods = Object.entries(definition).map(([name, method]) => {
    const { responseSerialize } = method;
    const serialize = (response: unknown) =>
      response instanceof Uint8Array
        ? Buffer.from(response.buffer, response.byteOffset, response.byteLength)
        : responseSerialize(response);
    return [name, { ...method, responseSerialize: serialize }];
  });
  server.addService(Object.fromEntries(methods), implementation);
}

async function bind(server: Server, host: string, port: number): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return await new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(new Error(`cannot listen on ${address}: ${reasonOf(error)}`));
      else resolve(bound);
    });
  });
}

/** grpc-js wraps the system's words in its own, and logs them on stderr besides. */
const reasonOf = ({ message }: Error): string => /E[A-Z]+: [^\]]*/.exec(message)?.[0] ?? message;

/** Time for answers that have been given to leave through the socket. */
const FLUSH_MS = 250;

/**
 * No new calls from now on; those under way are finished, for `graceMs` at most. Whoever only watches
 * the service's health would keep the connection open for ever: it is cut when the rest is done.
 */
async function shutDown(server: Server, inFlight: InFlight, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
  });
  const answered = inFlight.none().then(() => sleep(FLUSH_MS));
  await Promise.race([closed, answered, sleep(graceMs, undefined, { ref: false })]);
  server.forceShutdown();
}
