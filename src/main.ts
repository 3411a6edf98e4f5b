/** The service as a process: configuration, database, signals, exit code. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { type CellAddress, oneCell, readCellsFile } from './cells/cells-file.ts';
import { findInstallation } from './cells/installation.ts';
import { type Config, readConfig } from './config.ts';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from './embedded-postgres/embedded-postgres.ts';
import { createServiceLogin } from './embedded-postgres/service-login.ts';
import { migrate } from './pg/migrate.ts';
import { readPlanFiles } from './plan-files.ts';
import { ClocksDisagree, publishNow } from './plan-publication.ts';
import { InvalidPolicy } from './policy/policy-source.ts';
import { takenPorts } from './ports.ts';
import type { PlanFile } from './pricing/plan.ts';
import { type FileError, formatFileError } from './pricing/plan-file/file-error.ts';
import { isMarked, prepareSandbox, WrongDatabase } from './sandbox/mark.ts';
import type { SandboxInfo } from './sandbox/sandbox.ts';
import { sandboxEnvironment, sandboxProblems } from './sandbox/start.ts';
import { startService } from './service.ts';
import { readyText, startProgress } from './start-text.ts';
import { UnpublishablePlans } from './store/publish-plans.ts';
import { logTelemetryFailures } from './telemetry/diagnostics.ts';
import { telemetry, telemetryWarnings } from './telemetry/sdk.ts';
import { terminalLog } from './telemetry/terminal-log.ts';

/** An error of the operator's. Each line goes to stderr, without a stack trace. */
class StartupError extends Error {
  readonly lines: readonly string[];

  constructor(...lines: string[]) {
    super(lines[0]);
    this.lines = lines;
  }
}

async function main() {
  const isSandbox = readArguments();
  const config = loadConfig(isSandbox);
  const taken = await takenPorts(config, isSandbox);
  if (taken.length > 0) throw new StartupError(...taken);
  const begin = startProgress(process.stdout.isTTY);
  const log = createLog(config.LOG_LEVEL, isSandbox);
  logTelemetryFailures(log);
  for (const warning of telemetryWarnings) log.warn(warning);
  // `src/` or `dist/`: bin/run chooses.
  log.info(
    { node: process.version, time_zone_data: process.versions.tz },
    `starting from ${basename(import.meta.dirname)}/`,
  );
  const plans = await readPlanFiles(config.PLANS_DIRECTORY);
  // Only the embedded database gets its plans from this process.
  const listed = readCells(config);
  if (!listed && 'errors' in plans) throw unpublishable(plans.errors);

  begin(databaseStep(config));
  const embedded = listed ? null : await startEmbeddedPostgres(config.DATA_DIRECTORY);
  try {
    if (embedded) {
      begin('schema: migrations that are missing');
      if (isSandbox) await prepareSandbox(embedded.url);
      else await migrateUnlessSandbox(embedded.url);
      begin(`plans of ${config.PLANS_DIRECTORY}`);
      if ('plans' in plans) await publish(config, embedded.url, plans.plans, log);
    }
    if ('errors' in plans) warnOfInvalidFiles(plans.errors, log);
    const cells = listed ?? oneCell(await createServiceLogin(embedded?.url ?? ''));
    const found = await findInstallation(cells, config.CELLS_FILE !== undefined);
    if ('problems' in found) throw new StartupError(...found.problems);
    begin('service: listen');
    const service = await startService(
      config,
      found.installation,
      'plans' in plans ? plans.plans : null,
      log,
      {},
      isSandbox,
    );
    const stop = async () => {
      await service.stop();
      await embedded?.stop();
      // Spans that no collector took are no reason to call a clean stop a failure.
      await telemetry
        .shutdown()
        .catch((error: unknown) => log.warn({ err: error }, 'the last spans were not exported'));
    };
    stopOnSignal(stop, embedded, log);
    log.info(
      {
        port: service.port,
        transport: service.transport,
        plans: service.planIds,
        ...(service.webhookPort !== null && { webhook_port: service.webhookPort }),
        ...(service.adminPort !== null && { admin_port: service.adminPort }),
        ...(service.sandbox && sandboxFields(service.sandbox)),
      },
      'ready',
    );
    if (isSandbox) log.warn('this is a sandbox: not for production');
    if (process.stdout.isTTY) process.stdout.write(readyText(config, service));
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

const databaseStep = (config: Config): string => {
  const { CELLS_FILE: file, DATABASE_URL: url, DATA_DIRECTORY: directory } = config;
  if (file) return `databases of ${file}`;
  if (url) return 'database of DATABASE_URL';
  const isNew = existsSync(join(directory, 'postgres')) ? '' : ': the first start creates it';
  return `PostgreSQL in ${directory}${isNew}`;
};

const OPTIONS = {
  sandbox: { type: 'boolean', default: false },
} as const;

/** Whether the service is to be a sandbox. */
function readArguments(): boolean {
  try {
    return parseArgs({ options: OPTIONS }).values.sandbox;
  } catch (error) {
    const [message = ''] = (error as Error).message.split('. ');
    throw new StartupError(`${message}; the only option is --sandbox`);
  }
}

function loadConfig(isSandbox: boolean): Config {
  const read = readConfig(isSandbox ? sandboxEnvironment(process.env) : process.env);
  if ('problems' in read) throw new StartupError(...read.problems);
  const problems = isSandbox ? sandboxProblems(read.config) : [];
  if (problems.length > 0) throw new StartupError(...problems);
  return read.config;
}

const sandboxFields = (sandbox: SandboxInfo) => ({
  sandbox_time: new Date(sandbox.now()).toISOString(),
  payments_port: sandbox.paymentsPort,
});

function createLog(level: string, isSandbox: boolean): pino.Logger {
  // Every line is written at once. Lines that were buffered when the reader of the log went away would
  // keep the process from exiting: sonic-boom 4.2 retries a broken pipe for ever.
  const destination = pino.destination({ dest: 1, sync: true });
  const terminal = terminalLog((text) => destination.write(text));
  const options = { level, base: { service: 'scrip', ...(isSandbox && { sandbox: true }) } };
  return pino(options, process.stdout.isTTY ? terminal : destination);
}

const unpublishable = (errors: readonly FileError[]): StartupError =>
  new StartupError(...errors.map(formatFileError));

/**
 * Publishes the plan files to the embedded database. In the database of DATABASE_URL only
 * `scrip plans publish` changes prices, never a replica that starts.
 */
async function publish(
  { CLOCK_SKEW_MAX_MS: skewMaxMs }: Config,
  url: string,
  plans: readonly PlanFile[],
  log: pino.Logger,
) {
  const changes = await publishNow(url, plans, skewMaxMs).catch((error: unknown) => {
    if (error instanceof UnpublishablePlans) throw new StartupError(...error.lines);
    if (!(error instanceof ClocksDisagree)) throw error;
    log.error(error.message);
    return [];
  });
  for (const { file, added } of changes)
    for (const { version, effectiveAt } of added)
      log.info(
        { plan_id: file.planId, version, effective_at: new Date(effectiveAt).toISOString() },
        'rate card published',
      );
}

function warnOfInvalidFiles(errors: readonly FileError[], log: pino.Logger) {
  log.warn(
    { errors: errors.map(formatFileError) },
    'the plan files are not valid; the published plans are in force',
  );
}

/** A sandbox in the data directory stays as it is. */
async function migrateUnlessSandbox(url: string) {
  if (await isMarked(url))
    throw new WrongDatabase(
      'DATA_DIRECTORY has the database of a sandbox, which is one for ever: start it with --sandbox',
    );
  await migrate(url);
}

/** Those of CELLS_FILE or DATABASE_URL, which only `npm run migrate` migrates; null: the embedded database. */
function readCells({ CELLS_FILE: file, DATABASE_URL: url }: Config): readonly CellAddress[] | null {
  if (!file) return url ? oneCell(url) : null;
  const read = readCellsFile(file);
  if ('problems' in read) throw new StartupError(...read.problems);
  return read.cells;
}

/** Stops at SIGTERM, SIGINT, or when the embedded PostgreSQL ends; exits with 0 only after a clean stop. */
function stopOnSignal(
  stop: () => Promise<void>,
  embedded: EmbeddedPostgres | null,
  log: pino.Logger,
) {
  let stopping = false;
  const stopOnce = async (reason: string, code: number) => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'stopping');
    try {
      await stop();
    } catch (error) {
      log.error({ err: error }, 'could not stop cleanly');
      process.exit(1);
    }
    log.info('stopped');
    process.exit(code);
  };
  process.on('SIGTERM', () => void stopOnce('SIGTERM', 0));
  process.on('SIGINT', () => void stopOnce('SIGINT', 0));
  void embedded?.lost.then((error) => {
    log.fatal({ err: error }, 'the embedded PostgreSQL has ended');
    void stopOnce('database lost', 1);
  });
}

await main().catch((error: unknown) => {
  const lines =
    error instanceof StartupError || error instanceof InvalidPolicy
      ? error.lines
      : [(error as Error)?.message ?? String(error)];
  for (const line of lines) process.stderr.write(`scrip: ${line}\n`);
  process.exit(1);
});
