/** The servers of the service: gRPC, the webhooks of the payment provider, and the admin port. */
import { type Admin, startAdmin } from '../admin/admin.ts';
import { Admission } from '../admission/admission.ts';
import type { Authentication } from '../authentication/authentication.ts';
import type { PrivateSocket } from '../console/private-socket.ts';
import type { WebConsole } from '../console/web-console.ts';
import { DayQuotas } from '../day-quotas.ts';
import type { Payments } from '../payments/payments.ts';
import { startWebhookServer } from '../payments/webhook-server.ts';
import type { Orm } from '../pg/orm.ts';
import { ALLOW_ALL } from '../policy/allow-all.ts';
import type { PolicySource } from '../policy/policy-source.ts';
import { RateLimits } from '../policy/rate-limits.ts';
import { AccountSnapshots } from '../queries/account-snapshots.ts';
import { CustomPacks } from '../queries/custom-packs.ts';
import { AnswerTime } from '../rpc/call/answer-time.ts';
import type { AuditLog } from '../rpc/call/audit-log.ts';
import { Authorization } from '../rpc/call/authorization.ts';
import { InFlightCalls } from '../rpc/call/in-flight-calls.ts';
import { OpenStreams } from '../rpc/call/open-streams.ts';
import { OverloadAnswer } from '../rpc/call/overload-answer.ts';
import { RecentRefusals } from '../rpc/call/recent-refusals.ts';
import { type RpcServer, startRpcServer } from '../rpc/server.ts';
import type { ServiceContext } from '../rpc/service-context.ts';
import type { Context } from './context.ts';
import { pageServer } from './web-console.ts';
import type { Work } from './work.ts';

/** Who calls, and what they may do. A policy of null allows everything. */
export type Callers = {
  readonly authentication: Authentication;
  readonly policy: PolicySource | null;
  readonly audit: AuditLog;
};

export async function startRpc(
  context: Context,
  work: Work,
  callers: Callers,
  privateSocket: PrivateSocket | null,
  stopping: AbortSignal,
): Promise<RpcServer> {
  const { config } = context;
  const recentRefusals = new RecentRefusals(context.host);
  context.observers.add(recentRefusals);
  const calls = { ...context, ...callParts(context, callers), recentRefusals };
  return await startRpcServer(
    {
      ...calls,
      ...workParts(context, work),
      traceUrlTemplate: config.TRACE_URL_TEMPLATE,
      stopping,
    },
    {
      host: config.HOST,
      port: config.PORT,
      tls: callers.authentication.tls,
      privateSocket: privateSocket?.path ?? null,
      withReflection: config.REFLECTION,
      connectionAgeMaxMs: config.CONNECTION_AGE_MAX_MS,
    },
  );
}

/** What every call passes before its handler. */
function callParts(context: Context, { authentication, policy, audit }: Callers) {
  const { config, monotonic } = context;
  const admission = createAdmission(context);
  return {
    inFlight: new InFlightCalls(),
    authenticator: authentication.authenticator,
    authorization: new Authorization({
      policy: policy ?? ALLOW_ALL,
      rates: new RateLimits(),
      audit,
      monotonic,
      now: context.host,
    }),
    audit,
    admission,
    overloadAnswer: new OverloadAnswer(admission),
    answerTime: new AnswerTime(context.clock, context.sandbox !== null),
    streams: new OpenStreams({
      streamsMax: config.STREAMS_MAX,
      perCallerMax: config.STREAMS_PER_CALLER_MAX,
      stallMs: config.STREAM_STALL_MS,
      bufferedBytesMax: config.STREAM_BUFFERED_BYTES_MAX,
    }),
  } satisfies Partial<ServiceContext>;
}

const createAdmission = ({ config, log }: Context): Admission =>
  new Admission(
    {
      waitMaxMs: config.WAIT_MAX_MS,
      inFlightMax: config.QUEUE_MAX,
      onCongestion: (state) => log.warn(state, 'calls are refused'),
    },
    () => performance.now(),
  );

/** What the handlers ask. */
const workParts = ({ rootEm, em, catalogue, clock }: Context, work: Work) =>
  ({
    lanes: work.lanes,
    refusals: work.refusals,
    tail: work.historyTail,
    eventTail: work.events.tail,
    statementCloser: work.statementCloser,
    usage: work.usage,
    payments: work.payments?.payments ?? null,
    dayQuotas: new DayQuotas(em, clock),
    snapshots: new AccountSnapshots(rootEm, catalogue, clock),
    customPacks: new CustomPacks(em),
  }) satisfies Partial<ServiceContext>;

/** Null where no webhook secret is configured. */
export async function startWebhooks({ config, clock, tracing, log }: Context, payments: Payments) {
  const { STRIPE_WEBHOOK_SECRET: secrets, STRIPE_WEBHOOK_TOLERANCE_S: toleranceS } = config;
  if (!secrets) return null;
  return await startWebhookServer(
    { payments, secrets: secrets.split(','), toleranceS, clock, tracing, log },
    config.STRIPE_WEBHOOK_HOST,
    config.STRIPE_WEBHOOK_PORT,
  );
}

export async function startAdminPort(
  context: Context,
  { lanes }: Work,
  { isReady }: RpcServer,
  webConsole: WebConsole | null,
  { pool }: Orm,
): Promise<Admin> {
  const { config, clock, monotonic, metrics } = context;
  return await startAdmin({
    ...context,
    ...metrics,
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    gaugesIntervalMs: config.LEDGER_GAUGES_INTERVAL_MS,
    process: {
      pool,
      poolMax: config.DATABASE_POOL_MAX,
      queued: () => lanes.queued,
      clockOffsetMs: () => clock.hostLeadMs,
      monotonic,
    },
    isReady,
    console: webConsole && pageServer(webConsole),
  });
}
