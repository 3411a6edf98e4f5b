/** Finds the database that a service with the same configuration uses, for programs that read it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import {
  runningDatabaseUrl,
  startEmbeddedPostgres,
} from './embedded-postgres/embedded-postgres.ts';

export type FoundDatabase = {
  readonly url: string;
  /** Stops the embedded PostgreSQL, unless it ran before. */
  readonly close: () => Promise<void>;
};

/** Starts the embedded PostgreSQL if it does not run. Throws if there is no database. */
export async function findDatabase(config: Config): Promise<FoundDatabase> {
  const { DATABASE_URL: url, DATA_DIRECTORY: directory } = config;
  if (url) return { url, close: async () => {} };
  if (!existsSync(join(directory, 'postgres')))
    throw new Error(
      `DATABASE_URL is not set, and there is no database in ${directory}: npm start makes one, and DATA_DIRECTORY names ` +
        'another, such as .data-sandbox of a sandbox',
    );
  const embedded = await startEmbeddedPostgres(directory);
  return { url: embedded.url, close: () => embedded.stop() };
}

/** The URL of the embedded PostgreSQL, with its password; null if none runs, or DATABASE_URL names another database. */
export const findEmbeddedUrl = async ({
  DATABASE_URL: url,
  DATA_DIRECTORY: directory,
}: Config): Promise<string | null> => (url ? null : await runningDatabaseUrl(directory));
