/**
 * The service the demo drives: the one that runs, if one answers, or else one of its own on a
 * temporary database, of which nothing is left in the end.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { connect, type Scrip } from '../client.ts';
import { type Config, readConfig } from '../config.ts';
import { startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.ts';
import { type FoundDatabase, findDatabase } from '../find-database.ts';
import { migrate } from '../pg/migrate.ts';
import { readPlanFiles } from '../plan-files.ts';
import { startService } from '../service.ts';

export type FoundService = {
  readonly scrip: Scrip;
  /** Where it is and what it stands on, for people. */
  readonly described: string;
  /** The database it writes to, for the audit. */
  readonly database: () => Promise<FoundDatabase>;
  /** Leaves a service that ran before running. */
  readonly close: () => Promise<void>;
};

/** How long a service that runs may take to answer. */
const PATIENCE_MS = 2_000;

const CALLER = { caller: 'demo' };

type Environment = Readonly<Record<string, string | undefined>>;

export async function findService(environment: Environment): Promise<FoundService> {
  const read = readConfig(environment);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  const { config } = read;
  const asked = environment['SCRIP_ADDRESS'];
  const address = asked || `localhost:${config.PORT}`;
  const scrip = connect(address, CALLER);
  const why = await scrip.plans.listPlans({}, { deadline: Date.now() + PATIENCE_MS }).then(
    () => null,
    (error: Error) => error.message,
  );
  if (why === null)
    return {
      scrip,
      described: `the service on ${address}`,
      database: () => findDatabase(config),
      close: async () => scrip.close(),
    };
  scrip.close();
  // Whoever names a service wants that one, not another that happens to work.
  if (asked) throw new Error(`no service answers on SCRIP_ADDRESS ${asked}: ${why}`);
  return await startOwn(config);
}

async function startOwn(config: Config): Promise<FoundService> {
  const files = await readPlanFiles(config.PLANS_DIRECTORY);
  if ('errors' in files)
    throw new Error(
      files.errors.map(({ file, path, reason }) => `${file}: ${path}: ${reason}`).join('; '),
    );
  const directory = await mkdtemp(join(tmpdir(), 'scrip-demo-'));
  const undo: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const undoAll = async () => {
    for (const next of undo.reverse()) await next();
  };
  // An interrupted demo closes twice: the second waits for the first.
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= undoAll();
    return closing;
  };
  try {
    const postgres = await startEmbeddedPostgres(directory);
    undo.push(() => postgres.stop());
    await migrate(postgres.url);
    // At once, as the service's: see main.ts.
    const log = pino({ level: 'error' }, pino.destination({ dest: 2, sync: true }));
    const local = { ...config, HOST: '127.0.0.1', PORT: 0 };
    const service = await startService(local, postgres.url, files.plans, log);
    undo.push(() => service.stop());
    const address = `127.0.0.1:${service.port}`;
    const scrip = connect(address, CALLER);
    undo.push(async () => scrip.close());
    return {
      scrip,
      described: `a service of its own on ${address}, with a temporary database`,
      database: async () => ({ url: postgres.url, close: async () => {} }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
