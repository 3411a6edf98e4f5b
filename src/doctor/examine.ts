/** Examines the database of a configuration, and this host. */
import type { Config } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { SESSION_SETTINGS } from '../pg/session-settings.ts';
import type { Facts } from './facts.ts';
import { readDatabase } from './read-database.ts';
import { readHost } from './read-host.ts';

/** Throws where there is no database, or it cannot be reached. */
export async function examine(config: Config, replicas: number): Promise<Facts> {
  const { DATABASE_URL, DATA_DIRECTORY, ANCHOR_DIRECTORY } = config;
  const database = await findDatabase(config);
  try {
    const isEmbedded = DATABASE_URL === undefined;
    const folders = [...(isEmbedded ? [DATA_DIRECTORY] : []), ANCHOR_DIRECTORY ?? []].flat();
    return {
      ...(await readDatabase(database.url, isEmbedded)),
      host: await readHost(folders),
      config: {
        replicas,
        poolMax: config.DATABASE_POOL_MAX,
        clockSkewMaxMs: config.CLOCK_SKEW_MAX_MS,
        sessionSettings: SESSION_SETTINGS,
      },
    };
  } finally {
    await database.close();
  }
}
