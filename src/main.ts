/** The service as a process: configuration, database, signals, exit code. */
import { basename } from 'node:path';
import { pino } from 'pino';
import { type Config, readConfig } from './config.ts';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from './embedded-postgres/embedded-postgres.ts';
import { createServiceLogin } from './embedded-postgres/service-login.ts';
import { migrate, pendingMigrations, pendingText } from './pg/migrate.ts';
import { readPlanFiles } from './plan-files.ts';
import { ClocksDisagree, publishNow } from './plan-publication.ts';
import { InvalidPolicy } from './policy/policy-source.ts';
import type { PlanFile } from './pricing/plan.ts';
import { type FileError, formatFileError } from './pricing/plan-file/file-error.ts';
import { startService } from './service.ts';
import { UnpublishablePlans } from './store/publish-plans.ts';
import { telemetry } from './telemetry.ts';

/** An error of the operator's. Each line goes to stderr, without a stack trace. */
class StartupError extends Error {
  readonly lines: readonly string[];

  constructor(...lines: string[]) {
    super(lines[0]);
    this.lines = lines;
  }
}

async function main() {
  const config = loadConfig();
  const log = createLog(config.LOG_LEVEL);
  // `src/` or `dist/`: bin/run chooses.
  log.info({ node: process.version }, `starting from ${basename(import.meta.dirname)}/`);
  const plans = await readPlanFiles(config.PLANS_DIRECTORY);
  // Only the embedded database gets its plans from this process.
  if (!config.DATABASE_URL && 'errors' in plans) throw unpublishable(plans.errors);

  const embedded = config.DATABASE_URL ? null : await startEmbeddedPostgres(config.DATA_DIRECTORY);
  try {
    const url = embedded?.url ?? (config.DATABASE_URL as string);
    if (embedded) await migrate(url);
    else await refuseUnmigrated(url);
    if (embedded && 'plans' in plans) await publish(config, url, plans.plans, log);
    if ('errors' in plans) warnOfInvalidFiles(plans.errors, log);
    const serviceUrl = embedded ? await createServiceLogin(url) : url;
    const service = await startService(
      config,
      serviceUrl,
      'plans' in plans ? plans.plans : null,
      log,
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
      },
      'ready',
    );
    if (embedded) printReadyMessage(config, service.port);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

function loadConfig(): Config {
  const read = readConfig(process.env);
  if ('problems' in read) throw new StartupError(...read.problems);
  return read.config;
}

function createLog(level: string): pino.Logger {
  // Every line is written at once. Lines that were buffered when the reader of the log went away would
  // keep the process from exiting: sonic-boom 4.2 retries a broken pipe for ever.
  const destination = pino.destination({ dest: 1, sync: true });
  return pino({ level, base: { service: 'scrip' } }, destination);
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

/** Only `npm run migrate` migrates the database of DATABASE_URL, never a replica that starts. */
async function refuseUnmigrated(url: string) {
  const pending = await pendingMigrations(url).catch((cause: Error) => {
    throw new StartupError(`cannot use the database of DATABASE_URL: ${cause.message}`);
  });
  if (pending.length > 0) throw new StartupError(pendingText(pending));
}

function printReadyMessage(config: Config, port: number) {
  const address = `localhost:${port}`;
  const mutual = config.TLS_CLIENT_CA_FILE ? ' -cert CERT_FILE -key KEY_FILE' : '';
  const flags = config.TLS_CERT_FILE ? `-cacert CA_FILE${mutual}` : '-plaintext';
  process.stdout.write(
    [
      '',
      `Scrip is ready on ${address} (embedded PostgreSQL in ${config.DATA_DIRECTORY}). Try:`,
      '',
      `  grpcurl ${flags} ${address} billing.v1.PlanService/ListPlans`,
      '',
      '',
    ].join('\n'),
  );
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
