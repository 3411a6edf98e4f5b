/** The whole service, wired by hand: every part it is made of, from the database to the sockets. */
import { type Tracer, trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import {
  type AccountCache,
  LruAccountCache,
  NoAccountCache,
} from './account-cache/account-cache.ts';
import { Admission } from './admission/admission.ts';
import { readSigningKey } from './anchors/anchor-key.ts';
import { startAnchorSchedule } from './anchors/anchor-schedule.ts';
import { type Authentication, startAuthentication } from './authentication/authentication.ts';
import { ReplicaClock, systemTimeSources, type TimeSources } from './clock/replica-clock.ts';
import type { Config } from './config.ts';
import { DatabaseProbe } from './database-probe.ts';
import { DayQuotas } from './day-quotas.ts';
import { type EventPipeline, startEventPipeline } from './events/event-pipeline.ts';
import { GrantLimits } from './lanes/grant-limits.ts';
import { Lanes } from './lanes/lanes.ts';
import type { Task } from './lanes/task.ts';
import { unitOfWork } from './lanes/unit-of-work.ts';
import type { Book } from './ledger/book.ts';
import { Payments } from './payments/payments.ts';
import { Reconciler } from './payments/reconciler.ts';
import { connectStripe } from './payments/stripe.ts';
import { TopUps } from './payments/top-ups.ts';
import { startWebhookServer } from './payments/webhook-server.ts';
import { connect, type Em } from './pg/orm.ts';
import { ALLOW_ALL } from './policy/allow-all.ts';
import type { CompiledPolicy } from './policy/compiled-policy.ts';
import { PolicySource } from './policy/policy-source.ts';
import { RateLimits } from './policy/rate-limits.ts';
import type { Poller } from './poller.ts';
import type { PlanFile } from './pricing/plan.ts';
import { isUnchanged } from './pricing/plan-change.ts';
import { AccountSnapshots } from './queries/account-snapshots.ts';
import { CustomPacks } from './queries/custom-packs.ts';
import { newestSeqs } from './queries/entries.ts';
import { Refusals } from './refusals.ts';
import { AuditLog } from './rpc/call/audit-log.ts';
import { Authorization } from './rpc/call/authorization.ts';
import { InFlightCalls } from './rpc/call/in-flight-calls.ts';
import { OpenStreams } from './rpc/call/open-streams.ts';
import { OverloadAnswer } from './rpc/call/overload-answer.ts';
import { startRpcServer } from './rpc/server.ts';
import { Catalogue } from './store/catalogue.ts';
import { comparePlans } from './store/publish-plans.ts';
import { entities } from './store/tables/index.ts';
import { PlanChanges } from './sweeper/plan-changes.ts';
import { StatementCloser } from './sweeper/statement-closer.ts';
import { Sweeper } from './sweeper/sweeper.ts';
import { Tail } from './tail.ts';

export type Service = {
  readonly port: number;
  /** Port of the webhook server; null where there is none. */
  readonly webhookPort: number | null;
  /** The published plans when it was started. */
  readonly planIds: readonly string[];
  /** How the gRPC port is protected, such as "mutual tls". */
  readonly transport: string;
  /** Settles every account that is due now, without waiting for the sweeper's interval. */
  sweep(): Promise<void>;
  /** Checks every pending purchase that is due now, without waiting for the reconciler's interval. */
  checkPurchases(): Promise<void>;
  /** Charges every top-up that is due now, without waiting for its interval. */
  topUp(): Promise<void>;
  /** Compares the clocks now, without waiting for the interval. */
  compareClocks(): Promise<void>;
  /** Asks the database whether it answers, without waiting for the interval. */
  probeDatabase(): Promise<void>;
  /** Writes the events of refusals that are due now, without waiting for its interval. */
  reportRefusals(): Promise<void>;
  /** Reads certificates and the keys of tokens again, without waiting for the interval. */
  reload(): Promise<void>;
  /** Finishes what was accepted, then stops. */
  stop(): Promise<void>;
};

/** What every part of the service works with. */
type Context = {
  readonly config: Config;
  /** The root of all entity managers. */
  readonly rootEm: Em;
  /** A new entity manager, for one piece of work. */
  readonly em: () => Em;
  readonly clock: ReplicaClock;
  /** In milliseconds; for rates. */
  /** The host's clock, by which certificates and tokens are checked, in epoch milliseconds. */
  readonly host: () => number;
  readonly monotonic: () => number;
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly catalogue: Catalogue;
};

/** A part that finishes its work within `graceMs`, then stops. */
type Stoppable = { stop(graceMs: number): Promise<unknown> };

/**
 * Starts the service on a migrated database. The published plans are in force; `planFiles`, those of this
 * replica, are only compared with them. Null: this replica has none that can be read. Tests give it other
 * clocks.
 */
export async function startService(
  config: Config,
  databaseUrl: string,
  planFiles: readonly PlanFile[] | null,
  log: Logger,
  sources: Partial<TimeSources> = {},
): Promise<Service> {
  const orm = await connect(
    databaseUrl,
    entities,
    config.DATABASE_POOL_MAX,
    config.DATABASE_TIMEOUT_MS,
  );
  const em = () => orm.em.fork();
  let clock: ReplicaClock | null = null;
  let policy: PolicySource | null = null;
  let authentication: Authentication | null = null;
  const close = async () => {
    await policy?.stop();
    await authentication?.stop(0);
    await clock?.stop();
    await orm.close();
  };
  try {
    const catalogue = new Catalogue(em);
    const tracer = trace.getTracer('scrip');
    const { host: now, monotonic } = { ...systemTimeSources(em), ...sources };
    policy = await openPolicy(config, log, async ({ file }) => {
      await authentication?.setTokenIssuers(file.issuers);
    });
    authentication = await startAuthentication({
      config,
      tokenIssuers: policy?.issuers ?? [],
      log,
      now,
    });
    clock = await startClock(config, em, log, sources);
    const times = { clock, host: now, monotonic };
    const context = { config, rootEm: orm.em, em, ...times, tracer, log, catalogue };
    const planIds = await loadPublishedPlans(context);
    if (planFiles) await warnOfOtherPlans(context, planFiles);
    const service = await startParts(context, authentication, policy, databaseUrl);
    return {
      ...service,
      planIds,
      async stop() {
        await service.stop();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Null where no policy file is configured: everything is allowed, on loopback only. */
async function openPolicy(
  config: Config,
  log: Logger,
  prepare: (policy: CompiledPolicy) => Promise<void>,
): Promise<PolicySource | null> {
  const { POLICY_FILE: file, POLICY_RELOAD_INTERVAL_MS: intervalMs } = config;
  return file ? await PolicySource.open({ file, log, intervalMs, prepare }) : null;
}

async function startClock(
  config: Config,
  em: () => Em,
  log: Logger,
  sources: Partial<TimeSources>,
): Promise<ReplicaClock> {
  return await ReplicaClock.start({
    em,
    sources: { ...systemTimeSources(em), ...sources },
    limits: { skewMaxMs: config.CLOCK_SKEW_MAX_MS, settleMs: config.CLOCK_SETTLE_MS },
    intervalMs: config.CLOCK_SAMPLE_INTERVAL_MS,
    log,
  });
}

/** Loads the plans of the database and returns their ids. Throws if nothing was ever published. */
async function loadPublishedPlans({ catalogue, clock }: Context): Promise<readonly string[]> {
  const planIds = await catalogue.publishedPlanIds();
  if (planIds.length === 0)
    throw new Error('no plan is published in the database: run npm run scrip -- plans publish');
  if (clock.isReliable) await catalogue.findPlans(clock.now());
  return planIds;
}

/** Tells operators, once, that this replica was started with other plan files than the published ones. */
async function warnOfOtherPlans({ em, clock, log }: Context, planFiles: readonly PlanFile[]) {
  // Files have dates: without a time that can be trusted nobody knows what they say.
  if (!clock.isReliable) return;
  const { changes, errors, withoutFile } = await comparePlans(em(), planFiles, clock.now());
  const differing = changes.filter((change) => !isUnchanged(change));
  if (differing.length + errors.length + withoutFile.length === 0) return;
  log.warn(
    {
      not_published: differing.flatMap(({ file, published }) => (published ? [] : [file.planId])),
      differing: differing.flatMap(({ file, published }) => (published ? [file.planId] : [])),
      without_file: withoutFile,
      unpublishable: errors,
    },
    'the plan files differ from the published plans, which are in force: see npm run scrip -- plans status',
  );
}

/** Starts everything above the database. Leaves nothing running if a part cannot start. */
async function startParts(
  context: Context,
  authentication: Authentication,
  policy: PolicySource | null,
  databaseUrl: string,
): Promise<Omit<Service, 'planIds'>> {
  const { config, clock } = context;
  const stopping = new AbortController();
  const admission = createAdmission(context);
  const audit = new AuditLog(context.log, context.monotonic);
  const events = await startEventPipeline(config, context);
  const historyTail = createHistoryTail(context);
  const lanes = createLanes(context, (books) => tellFollowers(books, historyTail, events));
  const payments = startPayments(context, lanes);
  const sweeping = startSweeper(context, lanes);
  const refusals = startRefusals(context, lanes);
  const parts: Stoppable[] = [events, sweeping.sweeper, historyTail, refusals];
  if (payments) parts.push(payments.topUps, payments.reconciler);
  const stop = async (graceMs: number) => {
    stopping.abort();
    await Promise.all(parts.map((part) => part.stop(graceMs)));
    await lanes.close();
  };
  try {
    const rpc = await startRpcServer(
      {
        ...context,
        inFlight: new InFlightCalls(),
        authenticator: authentication.authenticator,
        authorization: new Authorization({
          policy: policy ?? ALLOW_ALL,
          rates: new RateLimits(),
          audit,
          monotonic: context.monotonic,
          now: context.host,
        }),
        dayQuotas: new DayQuotas(context.em, context.clock),
        audit,
        admission,
        overloadAnswer: new OverloadAnswer(admission),
        streams: new OpenStreams({
          streamsMax: config.STREAMS_MAX,
          perCallerMax: config.STREAMS_PER_CALLER_MAX,
          stallMs: config.STREAM_STALL_MS,
          bufferedBytesMax: config.STREAM_BUFFERED_BYTES_MAX,
        }),
        lanes,
        refusals,
        tail: historyTail,
        statementCloser: sweeping.statementCloser,
        eventTail: events.tail,
        snapshots: new AccountSnapshots(context.rootEm, context.catalogue, context.clock),
        customPacks: new CustomPacks(context.em),
        payments: payments?.payments ?? null,
        stopping: stopping.signal,
      },
      {
        host: config.HOST,
        port: config.PORT,
        tls: authentication.tls,
        withReflection: config.REFLECTION,
      },
    );
    parts.push(rpc);
    clock.watch((hasReliableClock) => rpc.report({ hasReliableClock }));
    const probe = new DatabaseProbe({
      databaseUrl,
      intervalMs: config.DATABASE_PROBE_INTERVAL_MS,
      log: context.log,
      onChange: (hasDatabase) => rpc.report({ hasDatabase }),
    });
    parts.push(probe);
    const anchors = await startAnchors(context);
    if (anchors) parts.push(anchors);
    const webhooks = payments && (await startWebhooks(context, payments.payments));
    if (webhooks) parts.push(webhooks);
    return {
      port: rpc.port,
      transport: authentication.transport,
      webhookPort: webhooks ? webhooks.port : null,
      sweep: () => sweeping.sweeper.sweep(),
      checkPurchases: async () => await payments?.reconciler.check(),
      topUp: async () => await payments?.topUps.topUp(),
      compareClocks: () => clock.sample(),
      probeDatabase: () => probe.probe(),
      reportRefusals: () => refusals.report(),
      async reload() {
        await policy?.reload();
        await authentication.reload();
      },
      stop: () => stop(config.SHUTDOWN_GRACE_MS),
    };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

function createHistoryTail({ config, em, log }: Context): Tail {
  return new Tail({
    name: 'tail of histories',
    fetchNewest: (accountIds) => newestSeqs(em(), accountIds),
    intervalMs: config.HISTORY_POLL_MS,
    log,
  });
}

function createLanes(
  { config, rootEm, catalogue, clock, tracer, log }: Context,
  onCommit: (books: readonly Book[]) => void,
): Lanes {
  const cache = createAccountCache(config.ACCOUNT_CACHE_MAX);
  const grantLimits = new GrantLimits();
  const context = { em: rootEm, catalogue, clock, tracer, cache, grantLimits, onCommit };
  return new Lanes(config.LANES, {
    run: (tasks, waitPolicy) => unitOfWork(context, tasks, waitPolicy),
    unitsMax: config.UNITS_MAX,
    groupMax: config.GROUP_MAX,
    waitMaxMs: config.WAIT_MAX_MS,
    onBug: (error, task) => logBug(log, error, task),
  });
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

const createAccountCache = (max: number): AccountCache =>
  max > 0 ? new LruAccountCache(max) : new NoAccountCache();

function logBug(log: Logger, error: unknown, task: Task) {
  const command = 'command' in task && {
    command: task.command.kind,
    trace_id: task.origin.traceId,
    span_id: task.origin.spanId,
  };
  log.error({ err: error, account_id: task.accountId, ...command }, 'bug');
}

/** Tells followers of histories and of events what was committed. */
function tellFollowers(books: readonly Book[], historyTail: Tail, events: EventPipeline) {
  for (const { account, changes } of books)
    if (changes.entries.length > 0) historyTail.advance(account.accountId, account.seq);
  if (books.some(({ changes }) => changes.events.length > 0)) events.onEventsCommitted();
}

function startSweeper({ config, em, clock, catalogue, log }: Context, lanes: Lanes) {
  const accountsMax = config.SWEEP_ACCOUNTS_MAX;
  const intervalMs = config.SWEEP_INTERVAL_MS;
  const statementCloser = new StatementCloser({ em, clock, catalogue, lanes, log, accountsMax });
  const statements = statementCloser;
  const planChanges = new PlanChanges({ em, clock, catalogue, lanes, accountsMax });
  const sweeper = new Sweeper({
    em,
    clock,
    lanes,
    statements,
    planChanges,
    log,
    intervalMs,
    accountsMax,
  });
  return { statementCloser, sweeper };
}

const startRefusals = ({ config, clock, log }: Context, lanes: Lanes) =>
  new Refusals({ lanes, clock, log, intervalMs: config.REFUSALS_INTERVAL_MS });

/** Null where no directory is configured. */
async function startAnchors({ config, em, clock, log }: Context): Promise<Poller | null> {
  const { ANCHOR_DIRECTORY: directory, ANCHOR_KEY_FILE: file } = config;
  if (!directory || !file) return null;
  const key = await readSigningKey(file);
  const intervalMs = config.ANCHOR_INTERVAL_MS;
  return startAnchorSchedule({ em, clock, directory, key, intervalMs, log });
}

/** Null where no payment provider is configured. */
function startPayments({ config, em, clock, tracer, log }: Context, lanes: Lanes) {
  const stripe = connectStripe(config);
  if (!stripe) return null;
  const payments = new Payments({ stripe, em, lanes, clock, log });
  const reconciler = new Reconciler({
    payments,
    em,
    clock,
    tracer,
    log,
    intervalMs: config.PURCHASE_CHECK_INTERVAL_MS,
    checkAfterMs: config.PURCHASE_CHECK_AFTER_MS,
    batchMax: config.PURCHASE_CHECK_MAX,
  });
  const topUps = new TopUps({
    payments,
    em,
    lanes,
    clock,
    tracer,
    log,
    intervalMs: config.TOP_UP_INTERVAL_MS,
    batchMax: config.TOP_UP_MAX,
  });
  return { payments, reconciler, topUps };
}

/** Null where no webhook secret is configured. */
async function startWebhooks({ config, clock, tracer, log }: Context, payments: Payments) {
  const { STRIPE_WEBHOOK_SECRET: secrets, STRIPE_WEBHOOK_TOLERANCE_S: toleranceS } = config;
  if (!secrets) return null;
  return await startWebhookServer(
    { payments, secrets: secrets.split(','), toleranceS, clock, tracer, log },
    config.STRIPE_WEBHOOK_HOST,
    config.STRIPE_WEBHOOK_PORT,
  );
}
