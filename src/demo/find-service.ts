/**
 * Finds the service that the demo calls: the one that was named, otherwise a temporary one with a temporary
 * database, which are removed at the end. It writes accounts, so it uses no service by itself.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { oneDatabase } from '../cells/installation.ts';
import { connect, type Scrip } from '../client.ts';
import { connectOptions } from '../client-environment.ts';
import { type Config, requireConfig } from '../config.ts';
import { startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.ts';
import { type FoundDatabase, findDatabase } from '../find-database.ts';
import { migrate } from '../pg/migrate.ts';
import { readPlanFiles } from '../plan-files.ts';
import { publishNow } from '../plan-publication.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { startService } from '../service.ts';

export type FoundService = {
  readonly scrip: Scrip;
  /** Its address and database, for people. */
  readonly description: string;
  /** Its database, for the audit. */
  readonly database: () => Promise<FoundDatabase>;
  /** Stops the service, unless it ran before. */
  readonly close: () => Promise<void>;
};

/** Within this time a running service answers. */
const ANSWER_TIMEOUT_MS = 10_000;

const CALLER = 'demo';

type Environment = Readonly<Record<string, string | undefined>>;

/** The service on `address`, or a temporary one. */
export async function findService(
  environment: Environment,
  address: string | undefined,
): Promise<FoundService> {
  const config = requireConfig(environment);
  if (address === undefined) return await startTemporaryService(config);
  const scrip = connect(address, connectOptions(environment, CALLER));
  try {
    await scrip.plans.listPlans({}, { deadline: Date.now() + ANSWER_TIMEOUT_MS });
  } catch (error) {
    scrip.close();
    throw new Error(`no service answers on ${address}: ${(error as Error).message}`);
  }
  return {
    scrip,
    description: `the service on ${address}`,
    database: () => findDatabase(config),
    close: async () => scrip.close(),
  };
}

async function startTemporaryService(config: Config): Promise<FoundService> {
  const files = await readPlanFiles(config.PLANS_DIRECTORY);
  if ('errors' in files) throw new Error(files.errors.map(formatFileError).join('; '));
  const directory = await mkdtemp(join(tmpdir(), 'scrip-demo-'));
  const undo: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const undoAll = async () => {
    for (const next of undo.reverse()) await next();
  };
  // An interrupted demo calls `close` twice; the second call waits for the first.
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= undoAll();
    return closing;
  };
  try {
    const postgres = await startEmbeddedPostgres(directory);
    undo.push(() => postgres.stop());
    await migrate(postgres.url);
    await publishNow(postgres.url, files.plans, config.CLOCK_SKEW_MAX_MS);
    // Written at once, as in main.ts.
    const log = pino({ level: 'error' }, pino.destination({ dest: 2, sync: true }));
    const { TLS_CERT_FILE: _, TLS_KEY_FILE: __, TLS_CLIENT_CA_FILE: ___, ...open } = config;
    const local = { ...open, HOST: '127.0.0.1', PORT: 0, ADMIN_PORT: null };
    const service = await startService(local, oneDatabase(postgres.url), files.plans, log);
    undo.push(() => service.stop());
    const address = `127.0.0.1:${service.port}`;
    const scrip = connect(address, { caller: CALLER });
    undo.push(async () => scrip.close());
    return {
      scrip,
      description: `a service of its own on ${address}, with a temporary database`,
      database: async () => ({ url: postgres.url, close: async () => {} }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
