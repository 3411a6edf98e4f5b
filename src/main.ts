/** The service as a process: configuration, database, signals, exit code. */
import { pino } from 'pino';
import { type Config, readConfig } from './config.ts';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from './embedded-postgres/embedded-postgres.ts';
import { migrate, pendingMigrations } from './pg/orm.ts';
import { readPlanFiles } from './plan-files.ts';
import { startService } from './service.ts';
import { UnpublishablePlans } from './store/publish-plans.ts';
import { telemetry } from './telemetry.ts';

/** Something the operator has to set right: it is said in one line each, without a stack. */
class StartupError extends Error {
  readonly lines: readonly string[];

  constructor(...lines: string[]) {
    super(lines[0]);
    this.lines = lines;
  }
}

async function main() {
  const read = readConfig(process.env);
  if ('problems' in read) throw new StartupError(...read.problems);
  const { config } = read;
  // Each line at once: what waits to be written at the exit would be tried for ever where nobody reads
  // it any more (sonic-boom 4.2 takes a broken pipe for a busy one).
  const lines = pino.destination({ dest: 1, sync: true });
  const log = pino({ level: config.LOG_LEVEL, base: { service: 'scrip' } }, lines);
  const files = await readPlanFiles(config.PLANS_DIRECTORY);
  if ('mistakes' in files)
    throw new StartupError(
      ...files.mistakes.map(({ file, path, reason }) =>
        [file, path, reason].filter(Boolean).join(': '),
      ),
    );

  const embedded = config.DATABASE_URL ? null : await startEmbeddedPostgres(config.DATA_DIRECTORY);
  try {
    const url = embedded?.url ?? (config.DATABASE_URL as string);
    if (embedded) await migrate(url);
    else await refuseUnmigrated(url);
    const service = await startService(config, url, files.plans, log).catch((error: unknown) => {
      throw error instanceof UnpublishablePlans ? new StartupError(...error.lines) : error;
    });
    log.info(
      {
        port: service.port,
        plans: files.plans.map(({ planId }) => planId),
        ...(service.webhookPort !== null && { webhook_port: service.webhookPort }),
      },
      'ready',
    );
    if (embedded) sayReady(config, service.port);
    stopOnSignal(
      async () => {
        await service.stop();
        await embedded?.stop();
        await telemetry.shutdown();
      },
      embedded,
      log,
    );
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** A database that others run is migrated by its own command, never by a replica that starts. */
async function refuseUnmigrated(url: string) {
  const pending = await pendingMigrations(url).catch((cause: Error) => {
    throw new StartupError(`cannot use the database of DATABASE_URL: ${cause.message}`);
  });
  if (pending.length > 0)
    throw new StartupError(
      `the database lacks ${pending.length} migration(s) (${pending.join(', ')}): run npm run migrate`,
    );
}

function sayReady(config: Config, port: number) {
  const address = `localhost:${port}`;
  process.stdout.write(
    [
      '',
      `Scrip is ready on ${address} (embedded PostgreSQL in ${config.DATA_DIRECTORY}). Try:`,
      '',
      `  grpcurl -plaintext ${address} billing.v1.PlanService/ListPlans`,
      '',
      '',
    ].join('\n'),
  );
}

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
    log.fatal({ err: error }, 'the embedded PostgreSQL is gone');
    void stopOnce('database lost', 1);
  });
}

await main().catch((error: unknown) => {
  const lines =
    error instanceof StartupError ? error.lines : [(error as Error)?.message ?? String(error)];
  for (const line of lines) process.stderr.write(`scrip: ${line}\n`);
  process.exit(1);
});
