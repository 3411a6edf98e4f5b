/** The database of a service that was started with the same configuration. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.ts';

export type FoundDatabase = {
  readonly url: string;
  /** Leaves the database as it was found: running, or not. */
  readonly close: () => Promise<void>;
};

export async function findDatabase(config: Config): Promise<FoundDatabase> {
  const { DATABASE_URL: url, DATA_DIRECTORY: directory } = config;
  if (url) return { url, close: async () => {} };
  if (!existsSync(join(directory, 'postgres')))
    throw new Error(`DATABASE_URL is not set, and there is no database in ${directory}`);
  const embedded = await startEmbeddedPostgres(directory);
  return { url: embedded.url, close: () => embedded.stop() };
}
