/** How commands use the database itself. What they need for that is loaded only then: other commands start sooner. */
import { type Config, requireConfig } from '../config.ts';
import type { Em } from '../pg/orm.ts';

/** As the service, or as the owner of the tables, who may do more. */
export type Role = 'service' | 'owner';

/** Calls `use` with the database of the environment. */
export async function withDatabase<Result>(
  role: Role,
  use: (em: () => Em, config: Config) => Promise<Result>,
): Promise<Result> {
  const [{ findDatabase }, { connect }, { connectAsOwner }, { entities }] = await Promise.all([
    import('../find-database.ts'),
    import('../pg/orm.ts'),
    import('../pg/migrate.ts'),
    import('../store/tables/index.ts'),
  ]);
  const config = requireConfig(process.env);
  const timeoutMs = config.DATABASE_TIMEOUT_MS;
  const database = await findDatabase(config);
  try {
    const orm =
      role === 'owner'
        ? await connectAsOwner(database.url, entities, timeoutMs)
        : await connect(database.url, entities, 2, timeoutMs);
    try {
      const { isSandbox } = await import('../clock/clock-records.ts');
      if (await isSandbox(orm.em.fork())) process.stderr.write('sandbox, not for production\n');
      return await use(() => orm.em.fork(), config);
    } finally {
      await orm.close();
    }
  } finally {
    await database.close();
  }
}
