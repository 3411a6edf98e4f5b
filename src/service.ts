/** The whole service, wired by hand: every part it is made of, from the database to the sockets. */
import type { Logger } from 'pino';
import type { Admin } from './admin/admin.ts';
import { type Authentication, startAuthentication } from './authentication/authentication.ts';
import { isSandbox } from './clock/clock-records.ts';
import { ReplicaClock, systemTimeSources, type TimeSources } from './clock/replica-clock.ts';
import type { Config } from './config.ts';
import type { WebConsole } from './console/web-console.ts';
import { DatabaseProbe } from './database-probe.ts';
import { WEBHOOK_PATH } from './payments/webhook-server.ts';
import { connect, type Em, type Orm } from './pg/orm.ts';
import type { CompiledPolicy } from './policy/compiled-policy.ts';
import { PolicySource } from './policy/policy-source.ts';
import type { PlanFile } from './pricing/plan.ts';
import { isUnchanged } from './pricing/plan-change.ts';
import { AuditLog } from './rpc/call/audit-log.ts';
import { isFaultName } from './rpc/call/status.ts';
import type { RpcServer } from './rpc/server.ts';
import { WrongDatabase } from './sandbox/mark.ts';
import { Sandbox, type SandboxInfo } from './sandbox/sandbox.ts';
import { SandboxClock } from './sandbox/sandbox-clock.ts';
import { Catalogue } from './store/catalogue.ts';
import { comparePlans } from './store/publish-plans.ts';
import { entities } from './store/tables/index.ts';
import { CallLog } from './telemetry/call-log.ts';
import { createInstruments } from './telemetry/instruments.ts';
import { startMetricExports } from './telemetry/metric-exports.ts';
import { Observers } from './telemetry/observers.ts';
import { Tracing } from './telemetry/tracing.ts';
import { WorkMetrics } from './telemetry/work-metrics.ts';
import type { Context, Metrics, Stoppable } from './wiring/context.ts';
import { startAdminPort, startRpc, startWebhooks } from './wiring/listeners.ts';
import { createPrivateSocket, openWebConsole } from './wiring/web-console.ts';
import { startAnchors, startWork, type Work } from './wiring/work.ts';

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
  const { config, clock, sandbox } = context;
  const stopping = new AbortController();
  const audit = new AuditLog(context.log, context.monotonic);
  const callers = { authentication, policy, audit };
  const work = await startWork(context);
  const parts: Stoppable[] = [...work.parts];
  let admin: Admin | null = null;
  let webConsole: WebConsole | null = null;
  const privateSocket = await createPrivateSocket(context);
  const stop = async (graceMs: number) => {
    stopping.abort();
    await Promise.all(parts.map((part) => part.stop(graceMs)));
    await work.lanes.close();
    // Last: probes are answered while the service stops.
    await admin?.stop();
    webConsole?.close();
    await privateSocket?.remove();
  };
  try {
    const rpc = await startRpc(context, work, callers, privateSocket, stopping.signal);
    parts.push(rpc);
    clock.watch((hasReliableClock) => rpc.report({ hasReliableClock }));
    const probe = startProbe(context, databaseUrl, rpc);
    parts.push(probe);
    const anchors = await startAnchors(context);
    if (anchors) parts.push(anchors);
    const { payments } = work;
    const webhooks = payments && (await startWebhooks(context, payments.payments));
    if (webhooks) parts.push(webhooks);
    webConsole =
      privateSocket &&
      (await openWebConsole(context, authentication, policy, audit, privateSocket));
    if (sandbox && webhooks)
      sandbox.connect(() => catchUp(work), { port: webhooks.port, path: WEBHOOK_PATH });
    const started = await startAdminPort(context, work, rpc, webConsole, orm);
    admin = started;
    return {
      port: rpc.port,
      sandbox,
      transport: authentication.transport,
      webhookPort: webhooks ? webhooks.port : null,
      adminPort: started.port,
      readGauges: () => started.readGauges(),
      sweep: () => work.sweeper.sweep(),
      checkPurchases: async () => await payments?.reconciler.check(),
      topUp: async () => await payments?.topUps.topUp(),
      compareClocks: () => clock.sample(),
      probeDatabase: () => probe.probe(),
      reportRefusals: () => work.refusals.report(),
      countUsage: () => work.usage.countAll(),
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

const startProbe = ({ config, log }: Context, databaseUrl: string, rpc: RpcServer) =>
  new DatabaseProbe({
    databaseUrl,
    intervalMs: config.DATABASE_PROBE_INTERVAL_MS,
    log,
    onChange: (hasDatabase) => rpc.report({ hasDatabase }),
  });

/** Does everything that is due, in the order in which one thing makes the next one due. */
async function catchUp({ refusals, sweeper, payments, usage }: Work) {
  await refusals.report();
  await sweeper.sweep();
  await payments?.topUps.topUp();
  await payments?.reconciler.check();
  await usage.countAll();
}
