/** Publishes plan files to a database, or compares them with it, for programs that are not the service. */
import { areClocksSuspect, readClocks } from './clock/clock-comparison.ts';
import { readDatabaseTime } from './clock/clock-records.ts';
import { assertMigrated } from './pg/migrate.ts';
import { connect, type Em } from './pg/orm.ts';
import type { PlanFile } from './pricing/plan.ts';
import type { PlanChange } from './pricing/plan-change.ts';
import { comparePlans, type PlanComparison, publishPlans } from './store/publish-plans.ts';
import { entities } from './store/tables/index.ts';

const ANSWER_TIMEOUT_MS = 60_000;

/** A publication has a date, which cannot be undone, and the clocks disagree about it. */
export class ClocksDisagree extends Error {
  constructor() {
    super(
      'nothing was published: the clocks of the database and of this machine disagree, or the ' +
        "database's has jumped; see npm run scrip -- clock status",
    );
  }
}

/**
 * Publishes plan files at the present time of the database: see `publishPlans`. Throws ClocksDisagree
 * where clocks differ by more than `skewMaxMs`.
 */
export const publishNow = (
  databaseUrl: string,
  files: readonly PlanFile[],
  skewMaxMs: number,
): Promise<readonly PlanChange[]> =>
  withDatabase(databaseUrl, async (em) => {
    const clocks = await readClocks(em());
    if (areClocksSuspect(clocks, skewMaxMs)) throw new ClocksDisagree();
    return await publishPlans(em, files, Math.floor(clocks.database));
  });

/** Publishes plan files at an instant, for simulations and tests with a clock of their own. */
export const publishAt = (
  databaseUrl: string,
  files: readonly PlanFile[],
  now: number,
): Promise<readonly PlanChange[]> =>
  withDatabase(databaseUrl, (em) => publishPlans(em, files, now));

/** Compares plan files with what is published now: see `comparePlans`. */
export const compareNow = (
  databaseUrl: string,
  files: readonly PlanFile[],
): Promise<PlanComparison> =>
  withDatabase(databaseUrl, async (em) =>
    comparePlans(em(), files, Math.floor(await readDatabaseTime(em()))),
  );

async function withDatabase<Result>(
  databaseUrl: string,
  use: (em: () => Em) => Promise<Result>,
): Promise<Result> {
  await assertMigrated(databaseUrl);
  const orm = await connect(databaseUrl, entities, 1, ANSWER_TIMEOUT_MS);
  try {
    return await use(() => orm.em.fork());
  } finally {
    await orm.close();
  }
}
