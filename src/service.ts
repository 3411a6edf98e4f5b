/** The whole service, wired by hand: every part it is made of, from the database to the sockets. */
import type { Logger } from 'pino';
import type { Admin } from './admin/admin.ts';
import { type Authentication, startAuthentication } from './authentication/authentication.ts';
import { CellRouter } from './cells/cell-router.ts';
import type { Installation } from './cells/installation.ts';
import { HOST_TIME_SOURCES, type TimeSources } from './clock/replica-clock.ts';
import type { Config } from './config.ts';
import type { WebConsole } from './console/web-console.ts';
import { connectStripe } from './payments/stripe.ts';
import { WEBHOOK_PATH } from './payments/webhook-server.ts';
import type { CompiledPolicy } from './policy/compiled-policy.ts';
import { PolicySource } from './policy/policy-source.ts';
import type { PlanFile } from './pricing/plan.ts';
import { AuditLog } from './rpc/call/audit-log.ts';
import { isFaultName } from './rpc/call/status.ts';
import type { ServiceContext } from './rpc/service-context.ts';
import { Sandbox, type SandboxInfo } from './sandbox/sandbox.ts';
import { CallLog } from './telemetry/call-log.ts';
import { createInstruments } from './telemetry/instruments.ts';
import { startMetricExports } from './telemetry/metric-exports.ts';
import { Observers } from './telemetry/observers.ts';
import { Tracing } from './telemetry/tracing.ts';
import { WorkMetrics } from './telemetry/work-metrics.ts';
import { Cells, openLedgers } from './wiring/cells.ts';
import type { Metrics, Shared, Stoppable } from './wiring/context.ts';
import type { Ledger } from './wiring/ledger.ts';
import { callsOf, startAdminPort, startRpc, startWebhooks } from './wiring/listeners.ts';
import { createPrivateSocket, openWebConsole } from './wiring/web-console.ts';
import type { Work } from './wiring/work.ts';

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
  /** Asks the database of each cell whether it answers, without waiting for the interval. */
  probeDatabase(): Promise<void>;
  /** Takes up cells that could not be reached before, without waiting for the interval. */
  takeUpCells(): Promise<void>;
  /** Reads the gauges of the ledger, without waiting for the interval. */
  readGauges(): Promise<void>;
  /** Writes the events of refusals that are due now, without waiting for its interval. */
  reportRefusals(): Promise<void>;
  /** Counts everything that is charged by now into the usage rollups, without waiting for the interval. */
  countUsage(): Promise<void>;
  /** Counts everything that moved credits by now into the sums of roll-forwards, without waiting for the interval. */
  countMovements(): Promise<void>;
  /** Reads certificates and the keys of tokens again, without waiting for the interval. */
  reload(): Promise<void>;
  /** Finishes what was accepted, then stops. */
  stop(): Promise<void>;
};

/**
 * Starts the service on migrated databases: on one cell, or on those of several that can be reached. The published
 * plans are in force; `planFiles`, those of this replica, are only compared with them. Null: this replica has none
 * that can be read. Tests give it other clocks. Throws WrongDatabase where a sandbox is to run on another database
 * than a sandbox's, or the reverse.
 */
export async function startService(
  config: Config,
  installation: Installation,
  planFiles: readonly PlanFile[] | null,
  log: Logger,
  sources: Partial<TimeSources> = {},
  isToBeSandbox = false,
): Promise<Service> {
  const ledgerOptions = { config, installation, planFiles, log, sources, isToBeSandbox };
  let ledgers: readonly Ledger[] = [];
  const metrics = startMetrics(config);
  let policy: PolicySource | null = null;
  let authentication: Authentication | null = null;
  let sandbox: Sandbox | null = null;
  let cells: Cells | null = null;
  const close = async () => {
    await policy?.stop();
    await authentication?.stop(0);
    await sandbox?.stop();
    await cells?.close();
    // Those that no cell has taken.
    await Promise.all(ledgers.map((ledger) => ledger.close()));
    await metrics.exports
      .stop()
      .catch((error: unknown) => log.warn({ err: error }, 'the last metrics were not exported'));
  };
  try {
    const tracing = new Tracing();
    const observers = new Observers();
    observers.add(new CallLog(log, isFaultName));
    if (metrics.exports.isOn) observers.add(metrics.work);
    const { host, monotonic } = { ...HOST_TIME_SOURCES, ...sources };
    policy = await openPolicy(config, log, async ({ file }) => {
      await authentication?.setTokenIssuers(file.issuers);
    });
    authentication = await startAuthentication({
      config,
      tokenIssuers: policy?.issuers ?? [],
      log,
      now: host,
    });
    ledgers = await openLedgers(ledgerOptions);
    const [first] = ledgers as readonly [Ledger];
    sandbox = await startSandbox(config, first, log);
    const ownConfig = { ...config, ...sandbox?.config };
    const stripe = connectStripe(ownConfig, tracing, observers);
    const observing = { tracing, observers, log, metrics };
    const shared = { config: ownConfig, host, monotonic, ...observing, stripe, sandbox };
    const names = installation.cells.map(({ name }) => name);
    const router = new CellRouter<ServiceContext>(names, installation.map);
    cells = new Cells({ ledgers: ledgerOptions, shared, router });
    for (const ledger of ledgers) await cells.start(ledger);
    const service = await startParts(shared, cells, authentication, policy);
    return {
      ...service,
      planIds: first.planIds,
      async stop() {
        await service.stop();
        await close();
      },
    };
  } catch (error) {
    await cells?.stopParts(0);
    await close();
    throw error;
  }
}

/** Null where the service is to be none. A sandbox has one cell. */
async function startSandbox(
  config: Config,
  { em, clock, sandboxClock }: Ledger,
  log: Logger,
): Promise<Sandbox | null> {
  if (!sandboxClock) return null;
  const paymentsPort = config.SANDBOX_PAYMENTS_PORT;
  return await Sandbox.start({ em, clock, sandboxClock, paymentsPort, log });
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

/** Starts everything above the databases. Leaves nothing running but the cells if a part cannot start. */
async function startParts(
  shared: Shared,
  cells: Cells,
  authentication: Authentication,
  policy: PolicySource | null,
): Promise<Omit<Service, 'planIds'>> {
  const { config, sandbox } = shared;
  const stopping = new AbortController();
  const audit = new AuditLog(shared.log, shared.monotonic);
  const callers = { authentication, policy, audit };
  const { router } = cells;
  const parts: Stoppable[] = [{ stop: (graceMs) => cells.stopParts(graceMs) }];
  let admin: Admin | null = null;
  let webConsole: WebConsole | null = null;
  const privateSocket = await createPrivateSocket(shared);
  const stop = async (graceMs: number) => {
    stopping.abort();
    await Promise.all(parts.map((part) => part.stop(graceMs)));
    await cells.closeLanes();
    // Last: probes are answered while the service stops.
    await admin?.stop();
    webConsole?.close();
    await privateSocket?.remove();
  };
  try {
    const calls = callsOf(shared, router, callers, stopping.signal);
    cells.serve(calls);
    const rpc = await startRpc(shared, calls, callers, privateSocket);
    parts.push(rpc);
    await cells.watch(rpc);
    const webhooks = await startWebhooks(shared, router);
    if (webhooks) parts.push(webhooks);
    webConsole =
      privateSocket &&
      (await openWebConsole(shared, router, authentication, policy, audit, privateSocket));
    if (sandbox && webhooks) {
      const catchUpAll = () => cells.inEach(({ work }) => catchUp(work));
      sandbox.connect(catchUpAll, { port: webhooks.port, path: WEBHOOK_PATH });
    }
    const started = await startAdminPort(shared, cells, rpc, webConsole);
    admin = started;
    return {
      port: rpc.port,
      sandbox,
      transport: authentication.transport,
      webhookPort: webhooks ? webhooks.port : null,
      adminPort: started.port,
      readGauges: () => cells.inEach((cell) => cell.readGauges()),
      sweep: () => cells.inEach(({ work }) => work.sweeper.sweep()),
      checkPurchases: () =>
        cells.inEach(async ({ work }) => await work.payments?.reconciler.check()),
      topUp: () => cells.inEach(async ({ work }) => await work.payments?.topUps.topUp()),
      compareClocks: () => cells.inEach(({ context }) => context.clock.sample()),
      probeDatabase: () => cells.inEach((cell) => cell.probe()),
      takeUpCells: () => cells.takeUp(),
      reportRefusals: () => cells.inEach(({ work }) => work.refusals.report()),
      countUsage: () => cells.inEach(({ work }) => work.usage.countAll()),
      countMovements: () => cells.inEach(({ work }) => work.rollForward.countAll()),
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

/** Does everything that is due, in the order in which one thing makes the next one due. */
async function catchUp({ refusals, sweeper, payments, usage, rollForward }: Work) {
  await refusals.report();
  await sweeper.sweep();
  await payments?.topUps.topUp();
  await payments?.reconciler.check();
  await usage.countAll();
  await rollForward.countAll();
}
