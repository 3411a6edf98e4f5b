/** Examines the databases of a configuration, and this host. */
import type { Config } from '../config.ts';
import { findCells } from '../find-database.ts';
import { SESSION_SETTINGS } from '../pg/session-settings.ts';
import type { Facts } from './facts.ts';
import { readDatabase } from './read-database.ts';
import { readHost } from './read-host.ts';

/** What was found of a cell, or why it cannot be examined. */
export type Examined = { readonly cell: string } & (
  | { readonly facts: Facts }
  | { readonly error: Error }
);

/** Examines every cell. Throws where there is no database. */
export async function examine(config: Config, replicas: number): Promise<readonly Examined[]> {
  const { cells, close } = await findCells(config);
  try {
    return await Promise.all(
      cells.map(async ({ name: cell, url }) =>
        examineCell(config, replicas, url).then(
          (facts) => ({ cell, facts }),
          (error: Error) => ({ cell, error }),
        ),
      ),
    );
  } finally {
    await close();
  }
}

async function examineCell(config: Config, replicas: number, url: string): Promise<Facts> {
  const { CELLS_FILE, DATABASE_URL, DATA_DIRECTORY, ANCHOR_DIRECTORY } = config;
  const isEmbedded = DATABASE_URL === undefined && CELLS_FILE === undefined;
  const folders = [...(isEmbedded ? [DATA_DIRECTORY] : []), ANCHOR_DIRECTORY ?? []].flat();
  return {
    ...(await readDatabase(url, isEmbedded)),
    host: await readHost(folders),
    config: {
      replicas,
      poolMax: config.DATABASE_POOL_MAX,
      clockSkewMaxMs: config.CLOCK_SKEW_MAX_MS,
      sessionSettings: SESSION_SETTINGS,
    },
  };
}
