/** Publishes plan files to a database, or compares them with it, for programs that are not the service. */
import { areClocksSuspect, readClocks, readServiceTime } from './clock/clock-comparison.ts';
import { assertMigrated, connectAsOwner } from './pg/migrate.ts';
import { connect, type Em, type Orm } from './pg/orm.ts';
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
        "database's has jumped; see scrip clock status",
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
  asOwner(databaseUrl, async (em) => {
    const clocks = await readClocks(em());
    if (areClocksSuspect(clocks, skewMaxMs)) throw new ClocksDisagree();
    return await publishPlans(em, files, Math.floor(clocks.database));
  });

/** Publishes plan files at an instant, for simulations and tests with a clock of their own. */
export const publishAt = (
  databaseUrl: string,
  files: readonly PlanFile[],
  now: number,
): Promise<readonly PlanChange[]> => asOwner(databaseUrl, (em) => publishPlans(em, files, now));

/** Compares plan files with what is published now: see `comparePlans`. */
export const compareNow = (
  databaseUrl: string,
  files: readonly PlanFile[],
): Promise<PlanComparison> =>
  asService(databaseUrl, async (em) =>
    comparePlans(em(), files, Math.floor(await readServiceTime(em()))),
  );

type Use<Result> = (em: () => Em) => Promise<Result>;

/** The role of the service has no privilege to change a price. */
const asOwner = <Result>(databaseUrl: string, use: Use<Result>): Promise<Result> =>
  withOrm(databaseUrl, () => connectAsOwner(databaseUrl, entities, ANSWER_TIMEOUT_MS), use);

const asService = <Result>(databaseUrl: string, use: Use<Result>): Promise<Result> =>
  withOrm(databaseUrl, () => connect(databaseUrl, entities, 1, ANSWER_TIMEOUT_MS), use);

async function withOrm<Result>(
  databaseUrl: string,
  open: () => Promise<Orm>,
  use: Use<Result>,
): Promise<Result> {
  await assertMigrated(databaseUrl);
  const orm = await open();
  try {
    return await use(() => orm.em.fork());
  } finally {
    await orm.close();
  }
}
