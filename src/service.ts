/** The whole service, wired by hand: every part it is made of, from the database to the sockets. */
import type { Logger } from 'pino';
import {
  type AccountCache,
  LruAccountCache,
  NoAccountCache,
} from './account-cache/account-cache.ts';
import { type Admin, startAdmin } from './admin/admin.ts';
import { Admission } from './admission/admission.ts';
import { readSigningKey } from './anchors/anchor-key.ts';
import { startAnchorSchedule } from './anchors/anchor-schedule.ts';
import { type Authentication, startAuthentication } from './authentication/authentication.ts';
import { isSandbox } from './clock/clock-records.ts';
import { ReplicaClock, systemTimeSources, type TimeSources } from './clock/replica-clock.ts';
import type { Config } from './config.ts';
import { Live } from './console/live.ts';
import { PAGE_DIRECTORY } from './console/page-files.ts';
import { PrivateSocket } from './console/private-socket.ts';
import { isConsolePath, WebConsole } from './console/web-console.ts';
import { DatabaseProbe } from './database-probe.ts';
import { DayQuotas } from './day-quotas.ts';
import { type EventPipeline, startEventPipeline } from './events/event-pipeline.ts';
import { GrantLimits } from './lanes/grant-limits.ts';
import { Lanes } from './lanes/lanes.ts';
import type { Task } from './lanes/task.ts';
import { unitOfWork } from './lanes/unit-of-work.ts';
import type { Book } from './ledger/book.ts';
import { isLoopback } from './loopback.ts';
import { Payments } from './payments/payments.ts';
import { Reconciler } from './payments/reconciler.ts';
import { connectStripe } from './payments/stripe.ts';
import { TopUps } from './payments/top-ups.ts';
import { startWebhookServer, WEBHOOK_PATH } from './payments/webhook-server.ts';
import { connect, type Em, type Orm } from './pg/orm.ts';
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
import { AnswerTime } from './rpc/call/answer-time.ts';
import { AuditLog } from './rpc/call/audit-log.ts';
import { Authorization } from './rpc/call/authorization.ts';
import { InFlightCalls } from './rpc/call/in-flight-calls.ts';
import { OpenStreams } from './rpc/call/open-streams.ts';
import { OverloadAnswer } from './rpc/call/overload-answer.ts';
import { RecentRefusals } from './rpc/call/recent-refusals.ts';
import { isFaultName } from './rpc/call/status.ts';
import { startRpcServer } from './rpc/server.ts';
import { WrongDatabase } from './sandbox/mark.ts';
import { Sandbox, type SandboxInfo } from './sandbox/sandbox.ts';
import { SandboxClock } from './sandbox/sandbox-clock.ts';
import { Catalogue } from './store/catalogue.ts';
import { comparePlans } from './store/publish-plans.ts';
import { entities } from './store/tables/index.ts';
import { PlanChanges } from './sweeper/plan-changes.ts';
import { StatementCloser } from './sweeper/statement-closer.ts';
import { Sweeper } from './sweeper/sweeper.ts';
import { Tail } from './tail.ts';
import { CallLog } from './telemetry/call-log.ts';
import { createInstruments, type Instruments } from './telemetry/instruments.ts';
import { type MetricExports, startMetricExports } from './telemetry/metric-exports.ts';
import { Observers } from './telemetry/observers.ts';
import { Tracing } from './telemetry/tracing.ts';
import { WorkMetrics } from './telemetry/work-metrics.ts';
import { UsageFollower } from './usage/usage-follower.ts';

export type Service = {
  readonly port: number;
  /** Port of the webhook server; null where there is none. */
  readonly webhookPort: number | null;
  /** Port for metrics and probes; null where there is none. */
  readonly adminPort: number | null;
  /** The published plans when it was started. */
  readonly planIds: readonly string[];
  /** Null: it is no sandbox. */
  readonly sandbox: SandboxInfo | null;
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
  /** Reads the gauges of the ledger, without waiting for the interval. */
  readGauges(): Promise<void>;
  /** Writes the events of refusals that are due now, without waiting for its interval. */
  reportRefusals(): Promise<void>;
  /** Counts everything that is charged by now into the usage rollups, without waiting for the interval. */
  countUsage(): Promise<void>;
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
  readonly tracing: Tracing;
  readonly observers: Observers;
  readonly log: Logger;
  readonly catalogue: Catalogue;
  readonly metrics: Metrics;
  /** Null: the service is no sandbox. */
  readonly sandbox: Sandbox | null;
};

type Metrics = {
  readonly exports: MetricExports;
  readonly instruments: Instruments;
  readonly work: WorkMetrics;
};

/** A part that finishes its work within `graceMs`, then stops. */
type Stoppable = { stop(graceMs: number): Promise<unknown> };

/**
 * Starts the service on a migrated database. The published plans are in force; `planFiles`, those of this
 * replica, are only compared with them. Null: this replica has none that can be read. Tests give it other
 * clocks. Throws WrongDatabase where a sandbox is to run on another database than a sandbox's, or the reverse.
 */
export async function startService(
  config: Config,
  databaseUrl: string,
  planFiles: readonly PlanFile[] | null,
  log: Logger,
  sources: Partial<TimeSources> = {},
  isToBeSandbox = false,
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
  let sandbox: Sandbox | null = null;
  const metrics = startMetrics(config);
  const close = async () => {
    await policy?.stop();
    await authentication?.stop(0);
    await sandbox?.stop();
    await clock?.stop();
    await orm.close();
    await metrics.exports
      .stop()
      .catch((error: unknown) => log.warn({ err: error }, 'the last metrics were not exported'));
  };
  try {
    await assertKind(em(), isToBeSandbox);
    const sandboxClock = isToBeSandbox ? await SandboxClock.open(em) : null;
    const catalogue = new Catalogue(em);
    const tracing = new Tracing();
    const observers = new Observers();
    observers.add(new CallLog(log, isFaultName));
    if (metrics.exports.isOn) observers.add(metrics.work);
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
    clock = await startClock(config, em, log, { ...sources, ...sandboxClock?.sources });
    const paymentsPort = config.SANDBOX_PAYMENTS_PORT;
    sandbox = sandboxClock && (await Sandbox.start({ em, clock, sandboxClock, paymentsPort, log }));
    const times = { clock, host: now, monotonic };
    const observing = { tracing, observers, log, metrics };
    const context = {
      config: { ...config, ...sandbox?.config },
      rootEm: orm.em,
      em,
      ...times,
      ...observing,
      catalogue,
      sandbox,
    };
    const planIds = await loadPublishedPlans(context);
    if (planFiles) await warnOfOtherPlans(context, planFiles);
    const service = await startParts(context, authentication, policy, databaseUrl, orm);
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

/** Prices and balances of a sandbox are not true, and a sandbox would ruin those that are. */
async function assertKind(em: Em, isToBeSandbox: boolean) {
  const found = await isSandbox(em);
  if (found && !isToBeSandbox)
    throw new WrongDatabase(
      'the database is a sandbox, for ever: start the service with --sandbox',
    );
  if (!found && isToBeSandbox)
    throw new WrongDatabase(
      'the database is not a sandbox: scrip sandbox create makes one of an empty database',
    );
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

function startMetrics({ ADMIN_PORT }: Config): Metrics {
  const exports = startMetricExports(process.env, ADMIN_PORT !== null);
  const instruments = createInstruments(exports.meter);
  return { exports, instruments, work: new WorkMetrics(instruments) };
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
    throw new Error('no plan is published in the database: run scrip plans publish');
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
    'the plan files differ from the published plans, which are in force: see scrip plans status',
  );
}

/** Starts everything above the database. Leaves nothing running if a part cannot start. */
async function startParts(
  context: Context,
  authentication: Authentication,
  policy: PolicySource | null,
  databaseUrl: string,
  orm: Orm,
): Promise<Omit<Service, 'planIds'>> {
  const { config, clock, metrics } = context;
  const stopping = new AbortController();
  const admission = createAdmission(context);
  const audit = new AuditLog(context.log, context.monotonic);
  const events = await startEventPipeline(config, context);
  const historyTail = createHistoryTail(context);
  const usage = startUsageFollower(context);
  const lanes = createLanes(context, (books) => {
    tellFollowers(books, historyTail, events, usage);
    if (metrics.exports.isOn)
      for (const { changes } of books) metrics.work.entriesCommitted(changes.entries);
  });
  const payments = startPayments(context, lanes);
  const sweeping = startSweeper(context, lanes);
  const refusals = startRefusals(context, lanes);
  const recentRefusals = new RecentRefusals(context.host);
  context.observers.add(recentRefusals);
  const parts: Stoppable[] = [events, sweeping.sweeper, historyTail, refusals, usage];
  if (payments) parts.push(payments.topUps, payments.reconciler);
  let admin: Admin | null = null;
  let webConsole: WebConsole | null = null;
  const privateSocket = await createPrivateSocket(context);
  const stop = async (graceMs: number) => {
    stopping.abort();
    await Promise.all(parts.map((part) => part.stop(graceMs)));
    await lanes.close();
    // Last: probes are answered while the service stops.
    await admin?.stop();
    webConsole?.close();
    await privateSocket?.remove();
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
        answerTime: new AnswerTime(context.clock, context.sandbox !== null),
        recentRefusals,
        traceUrlTemplate: config.TRACE_URL_TEMPLATE,
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
        usage,
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
        privateSocket: privateSocket?.path ?? null,
        withReflection: config.REFLECTION,
        connectionAgeMaxMs: config.CONNECTION_AGE_MAX_MS,
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
    webConsole =
      privateSocket && (await openConsole(context, authentication, policy, audit, privateSocket));
    const { sandbox } = context;
    if (sandbox && webhooks)
      sandbox.connect(
        async () => {
          await refusals.report();
          await sweeping.sweeper.sweep();
          await payments.topUps.topUp();
          await payments.reconciler.check();
        },
        { port: webhooks.port, path: WEBHOOK_PATH },
      );
    const started = await startAdmin({
      ...context,
      ...metrics,
      host: config.ADMIN_HOST,
      port: config.ADMIN_PORT,
      gaugesIntervalMs: config.LEDGER_GAUGES_INTERVAL_MS,
      process: {
        pool: orm.pool,
        poolMax: config.DATABASE_POOL_MAX,
        queued: () => lanes.queued,
        clockOffsetMs: () => clock.hostLeadMs,
        monotonic: context.monotonic,
      },
      isReady: rpc.isReady,
      console: webConsole && pageServer(webConsole),
    });
    admin = started;
    return {
      port: rpc.port,
      sandbox,
      transport: authentication.transport,
      webhookPort: webhooks ? webhooks.port : null,
      adminPort: started.port,
      readGauges: () => started.readGauges(),
      sweep: () => sweeping.sweeper.sweep(),
      checkPurchases: async () => await payments?.reconciler.check(),
      topUp: async () => await payments?.topUps.topUp(),
      compareClocks: () => clock.sample(),
      probeDatabase: () => probe.probe(),
      reportRefusals: () => refusals.report(),
      countUsage: () => usage.countAll(),
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

/** Null where the console is not wanted, or cannot be had: the service does without it. */
async function createPrivateSocket({ config, log }: Context): Promise<PrivateSocket | null> {
  if (config.ADMIN_PORT === null || !config.CONSOLE) return null;
  return await PrivateSocket.create().catch((error: unknown) => {
    log.error({ err: error }, 'there is no web console');
    return null;
  });
}

async function openConsole(
  { config, clock, host, monotonic, metrics, sandbox, log }: Context,
  { authenticator }: Authentication,
  policy: PolicySource | null,
  audit: AuditLog,
  { path: socket }: PrivateSocket,
): Promise<WebConsole> {
  const { prometheus } = metrics.exports;
  const live = prometheus && new Live({ read: () => prometheus.readMetrics(), monotonic });
  return await WebConsole.open({
    socket,
    pageDirectory: PAGE_DIRECTORY,
    authenticator,
    policy,
    audit,
    isLocal: isLoopback(config.ADMIN_HOST),
    origins: config.CONSOLE_ORIGINS ?? [],
    live: live && (() => live.figures()),
    clock,
    host,
    traceUrlTemplate: config.TRACE_URL_TEMPLATE,
    sandbox: sandbox !== null,
    log,
  });
}

const pageServer = (webConsole: WebConsole) => ({
  isOwn: isConsolePath,
  handle: webConsole.handle.bind(webConsole),
});

function createHistoryTail({ config, em, log }: Context): Tail {
  return new Tail({
    name: 'tail of histories',
    fetchNewest: (accountIds) => newestSeqs(em(), accountIds),
    intervalMs: config.HISTORY_POLL_MS,
    log,
  });
}

function createLanes(
  { config, rootEm, catalogue, clock, monotonic, tracing, observers, log }: Context,
  onCommit: (books: readonly Book[]) => void,
): Lanes {
  const cache = createAccountCache(config.ACCOUNT_CACHE_MAX);
  const grantLimits = new GrantLimits();
  const observing = { tracing, observers };
  const context = { em: rootEm, catalogue, clock, ...observing, cache, grantLimits, onCommit };
  return new Lanes(config.LANES, {
    run: (tasks, waitPolicy, record) => unitOfWork(context, tasks, waitPolicy, record),
    unitsMax: config.UNITS_MAX,
    groupMax: config.GROUP_MAX,
    waitMaxMs: config.WAIT_MAX_MS,
    now: monotonic,
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

/** Tells followers of histories, of events and of usage what was committed. */
function tellFollowers(
  books: readonly Book[],
  historyTail: Tail,
  events: EventPipeline,
  usage: UsageFollower,
) {
  for (const { account, changes } of books) {
    if (changes.entries.length === 0) continue;
    historyTail.advance(account.accountId, account.seq);
    usage.remember(account.accountId);
  }
  if (books.some(({ changes }) => changes.events.length > 0)) events.onEventsCommitted();
}

function startSweeper({ config, em, clock, catalogue, tracing, log }: Context, lanes: Lanes) {
  const accountsMax = config.SWEEP_ACCOUNTS_MAX;
  const intervalMs = config.SWEEP_INTERVAL_MS;
  const statementCloser = new StatementCloser({
    em,
    clock,
    catalogue,
    lanes,
    tracing,
    log,
    accountsMax,
  });
  const statements = statementCloser;
  const planChanges = new PlanChanges({ em, clock, catalogue, lanes, accountsMax });
  const sweeper = new Sweeper({
    em,
    clock,
    lanes,
    statements,
    planChanges,
    tracing,
    log,
    intervalMs,
    accountsMax,
  });
  return { statementCloser, sweeper };
}

const startUsageFollower = ({ config, em, monotonic, log }: Context) =>
  new UsageFollower({ em, monotonic, log, intervalMs: config.USAGE_INTERVAL_MS });

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
function startPayments({ config, em, clock, tracing, observers, log }: Context, lanes: Lanes) {
  const stripe = connectStripe(config, tracing, observers);
  if (!stripe) return null;
  const payments = new Payments({ stripe, em, lanes, clock, log });
  const reconciler = new Reconciler({
    payments,
    em,
    clock,
    tracing,
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
    tracing,
    log,
    intervalMs: config.TOP_UP_INTERVAL_MS,
    batchMax: config.TOP_UP_MAX,
  });
  return { payments, reconciler, topUps };
}

/** Null where no webhook secret is configured. */
async function startWebhooks({ config, clock, tracing, log }: Context, payments: Payments) {
  const { STRIPE_WEBHOOK_SECRET: secrets, STRIPE_WEBHOOK_TOLERANCE_S: toleranceS } = config;
  if (!secrets) return null;
  return await startWebhookServer(
    { payments, secrets: secrets.split(','), toleranceS, clock, tracing, log },
    config.STRIPE_WEBHOOK_HOST,
    config.STRIPE_WEBHOOK_PORT,
  );
}
