/** How commands use the databases themselves. What they need for that is loaded only then: other commands start sooner. */
import type { Config } from '../config.ts';
import type { Em } from '../pg/orm.ts';
import { type CellName, inEachCell } from './each-cell.ts';

/** As the service, or as the owner of the tables, who may do more. */
export type Role = 'service' | 'owner';

/**
 * Calls `use` with the database of the environment; with that of each cell in turn where there are several, or of the
 * cell of `accountId`, and writes its name first. Returns the largest exit code.
 */
export const withDatabase = (
  role: Role,
  use: (em: () => Em, config: Config, cell: CellName) => Promise<number>,
  accountId: string | null = null,
): Promise<number> =>
  withEachDatabase(
    role,
    async (em, config, cell) => {
      if (cell !== null) process.stdout.write(`cell ${cell}\n`);
      return await use(em, config, cell);
    },
    accountId,
  );

/** The same, of which one output is made: it writes no name. */
export async function withEachDatabase(
  role: Role,
  use: (em: () => Em, config: Config, cell: CellName) => Promise<number>,
  accountId: string | null = null,
): Promise<number> {
  const [{ findCells }, { requireConfig }, { cellOfAccount }] = await Promise.all([
    import('../find-database.ts'),
    import('../config.ts'),
    import('../cells/installation.ts'),
  ]);
  const config = requireConfig(process.env);
  const { cells, close } = await findCells(config);
  try {
    const isOne = cells.length === 1;
    const chosen = isOne || accountId === null ? cells : [await cellOfAccount(cells, accountId)];
    return await inEachCell(chosen, isOne, ({ url }, name) =>
      withCell(role, url, config, (em) => use(em, config, name)),
    );
  } finally {
    await close();
  }
}

async function withCell(
  role: Role,
  url: string,
  { DATABASE_TIMEOUT_MS: timeoutMs }: Config,
  use: (em: () => Em) => Promise<number>,
): Promise<number> {
  const [{ connect }, { CITUS_SESSION_SETTINGS }, { connectAsOwner }, { entities }, { isSandbox }] =
    await Promise.all([
      import('../pg/orm.ts'),
      import('../pg/session-settings.ts'),
      import('../pg/migrate.ts'),
      import('../store/tables/index.ts'),
      import('../clock/clock-records.ts'),
    ]);
  const orm =
    role === 'owner'
      ? await connectAsOwner(url, entities, timeoutMs)
      : await connect(url, entities, 2, timeoutMs, CITUS_SESSION_SETTINGS);
  try {
    if (await isSandbox(orm.em.fork())) process.stderr.write('sandbox, not for production\n');
    return await use(() => orm.em.fork());
  } finally {
    await orm.close();
  }
}
