/** The service of the simulation, on a database of its own, with a clock that the simulation sets. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { oneDatabase } from '../../src/cells/installation.ts';
import { connect, type Scrip } from '../../src/client.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { migrate } from '../../src/pg/migrate.ts';
import { readPlanFiles } from '../../src/plan-files.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { type Service, startService } from '../../src/service.ts';
import { sourcesOf } from '../time-sources.ts';
import { withLateUsage } from './late-usage.ts';

export type SimulatedService = {
  readonly scrip: Scrip;
  readonly service: Service;
  readonly databaseUrl: string;
  /** Sets the service's clock. */
  readonly setNow: (at: number) => void;
  /** Stops everything and removes all files. May be called twice. */
  readonly close: () => Promise<void>;
};

/** Starts it with the clock at `startsAt`, on a migrated database or on a temporary one. `env` is added to its settings. */
export async function startSimulatedService(
  startsAt: number,
  databaseUrl?: string,
  env: Partial<Record<keyof Config, string>> = {},
): Promise<SimulatedService> {
  const cleanups: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | undefined;
  const cleanUp = async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  };
  const close = () => {
    closing ??= cleanUp();
    return closing;
  };
  try {
    const url = databaseUrl ?? (await startDatabase(cleanups));
    const { config, plans } = await readSettings(env);
    let now = startsAt;
    const log = pino({ level: 'warn' }, pino.destination(2));
    await publishAt(url, plans, startsAt);
    const service = await startService(
      config,
      oneDatabase(url),
      plans,
      log,
      sourcesOf(() => now),
    );
    cleanups.push(() => service.stop());
    const scrip = connect(`127.0.0.1:${service.port}`, { caller: 'year' });
    cleanups.push(async () => scrip.close());
    const setNow = (at: number) => {
      now = at;
    };
    return { scrip, service, databaseUrl: url, setNow, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startDatabase(cleanups: (() => Promise<unknown>)[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-year-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres(directory);
  cleanups.push(() => postgres.stop());
  await migrate(postgres.url);
  return postgres.url;
}

async function readSettings(env: Partial<Record<keyof Config, string>>) {
  const read = readConfig({
    WAIT_MAX_MS: '600000',
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    LANES: '2',
    // The simulation calls the sweeper itself, by its own clock.
    SWEEP_INTERVAL_MS: '3600000',
    CLOCK_SAMPLE_INTERVAL_MS: '3600000',
    REFUSALS_INTERVAL_MS: '3600000',
    USAGE_INTERVAL_MS: '3600000',
    ...env,
  });
  if ('problems' in read) throw new Error(read.problems.join('; '));
  const files = await readPlanFiles(read.config.PLANS_DIRECTORY);
  if ('errors' in files) throw new Error(JSON.stringify(files.errors));
  return { config: read.config, plans: files.plans.map(withLateUsage) };
}
