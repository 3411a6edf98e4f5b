/** The servers of the service: gRPC, the webhooks of the payment provider, and the admin port. */
import { type Admin, startAdmin } from '../admin/admin.ts';
import { Admission } from '../admission/admission.ts';
import type { Authentication } from '../authentication/authentication.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import type { PrivateSocket } from '../console/private-socket.ts';
import type { WebConsole } from '../console/web-console.ts';
import { DayQuotas } from '../day-quotas.ts';
import type { Payments } from '../payments/payments.ts';
import { startWebhookServer, type WithPayments } from '../payments/webhook-server.ts';
import { ALLOW_ALL } from '../policy/allow-all.ts';
import type { PolicySource } from '../policy/policy-source.ts';
import { RateLimits } from '../policy/rate-limits.ts';
import { AnswerTime } from '../rpc/call/answer-time.ts';
import type { AuditLog } from '../rpc/call/audit-log.ts';
import { Authorization } from '../rpc/call/authorization.ts';
import { findInCells, serveInCell } from '../rpc/call/in-cell.ts';
import { InFlightCalls } from '../rpc/call/in-flight-calls.ts';
import { OpenStreams } from '../rpc/call/open-streams.ts';
import { OverloadAnswer } from '../rpc/call/overload-answer.ts';
import { RecentRefusals } from '../rpc/call/recent-refusals.ts';
import { type RpcServer, startRpcServer } from '../rpc/server.ts';
import type { ServiceContext, SharedContext } from '../rpc/service-context.ts';
import { type Cells, clockOfAny } from './cells.ts';
import type { Shared } from './context.ts';
import { pageServer } from './web-console.ts';

/** Who calls, and what they may do. A policy of null allows everything. */
export type Callers = {
  readonly authentication: Authentication;
  readonly policy: PolicySource | null;
  readonly audit: AuditLog;
};

/** What calls on all accounts share. */
export function callsOf(
  shared: Shared,
  cells: CellRouter<ServiceContext>,
  callers: Callers,
  stopping: AbortSignal,
): SharedContext {
  const recentRefusals = new RecentRefusals(shared.host);
  shared.observers.add(recentRefusals);
  const { sandbox } = shared;
  return {
    ...{ tracing: shared.tracing, observers: shared.observers, log: shared.log },
    ...callParts(shared, cells, callers),
    ...{ recentRefusals, sandbox, cells, stopping },
    // The quota of a caller is counted in one cell, whichever accounts it is used for.
    dayQuotas: new DayQuotas((caller) => cells.of(caller)),
    traceUrlTemplate: shared.config.TRACE_URL_TEMPLATE,
  };
}

export async function startRpc(
  { config }: Shared,
  calls: SharedContext,
  { authentication }: Callers,
  privateSocket: PrivateSocket | null,
): Promise<RpcServer> {
  return await startRpcServer(calls, {
    host: config.HOST,
    port: config.PORT,
    tls: authentication.tls,
    privateSocket: privateSocket?.path ?? null,
    withReflection: config.REFLECTION,
    connectionAgeMaxMs: config.CONNECTION_AGE_MAX_MS,
  });
}

/** What every call passes before its handler. */
function callParts(
  shared: Shared,
  cells: CellRouter<ServiceContext>,
  { authentication, policy, audit }: Callers,
) {
  const { config, monotonic } = shared;
  const admission = createAdmission(shared);
  return {
    inFlight: new InFlightCalls(),
    authenticator: authentication.authenticator,
    authorization: new Authorization({
      policy: policy ?? ALLOW_ALL,
      rates: new RateLimits(),
      audit,
      monotonic,
      now: shared.host,
    }),
    audit,
    admission,
    overloadAnswer: new OverloadAnswer(admission),
    answerTime: new AnswerTime(clockOfAny(cells), shared.sandbox !== null),
    streams: new OpenStreams({
      streamsMax: config.STREAMS_MAX,
      perCallerMax: config.STREAMS_PER_CALLER_MAX,
      stallMs: config.STREAM_STALL_MS,
      bufferedBytesMax: config.STREAM_BUFFERED_BYTES_MAX,
    }),
  } satisfies Partial<ServiceContext>;
}

const createAdmission = ({ config, log }: Shared): Admission =>
  new Admission(
    {
      waitMaxMs: config.WAIT_MAX_MS,
      inFlightMax: config.QUEUE_MAX,
      onCongestion: (state) => log.warn(state, 'calls are refused'),
    },
    () => performance.now(),
  );

/** Null where no webhook secret is configured, or no payment provider. */
export async function startWebhooks(
  { config, stripe, tracing, log }: Shared,
  cells: CellRouter<ServiceContext>,
) {
  const { STRIPE_WEBHOOK_SECRET: secrets, STRIPE_WEBHOOK_TOLERANCE_S: toleranceS } = config;
  if (!secrets || !stripe) return null;
  const withPayments: WithPayments = (accountId, use) =>
    serveInCell({ cells }, accountId, ({ payments }) => use(payments as Payments));
  const clock = clockOfAny(cells);
  return await startWebhookServer(
    {
      stripe,
      withPayments,
      // A payment of another system does not say whose it is: every cell is asked.
      findImported: (paymentIntentId) =>
        findInCells(
          cells,
          async ({ payments }) => (await payments?.findImported(paymentIntentId)) ?? null,
        ),
      secrets: secrets.split(','),
      toleranceS,
      clock,
      tracing,
      log,
    },
    config.STRIPE_WEBHOOK_HOST,
    config.STRIPE_WEBHOOK_PORT,
  );
}

export async function startAdminPort(
  { config, monotonic, metrics, log }: Shared,
  cells: Cells,
  { isReady }: RpcServer,
  webConsole: WebConsole | null,
): Promise<Admin> {
  return await startAdmin({
    ...metrics,
    log,
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    process: {
      pools: () => cells.running.map(({ context }) => context.pool),
      poolMax: config.DATABASE_POOL_MAX,
      queued: () => cells.running.reduce((sum, { work }) => sum + work.lanes.queued, 0),
      clockOffsetMs: () => widest(cells.running.map(({ context }) => context.clock.hostLeadMs)),
      monotonic,
    },
    isReady,
    console: webConsole && pageServer(webConsole),
  });
}

/** The one that is furthest from 0. */
const widest = (offsets: readonly number[]): number =>
  offsets.reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most), 0);
