/** Publishes plan files to a database, or compares them with it, for programs that are not the service. */
import type { CellAddress } from './cells/cells-file.ts';
import { areClocksSuspect, readClocks, readServiceTime } from './clock/clock-comparison.ts';
import { assertMigrated, connectAsOwner } from './pg/migrate.ts';
import { connect, type Em, type Orm } from './pg/orm.ts';
import { CITUS_SESSION_SETTINGS } from './pg/session-settings.ts';
import type { PlanFile } from './pricing/plan.ts';
import { isUnchanged, type PlanChange } from './pricing/plan-change.ts';
import { copyPlans, publishedVersions } from './store/copy-plans.ts';
import {
  comparePlans,
  type PlanComparison,
  publishPlans,
  UnpublishablePlans,
} from './store/publish-plans.ts';
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

/** A cell that had no plans, and what it gets first: a line for each plan that another cell has. */
export type NewCell = { readonly cell: string; readonly plans: readonly string[] };

export type Publication = {
  readonly changes: readonly PlanChange[];
  readonly newCells: readonly NewCell[];
};

/**
 * Publishes plan files in every cell, all or none, at one instant: a rate card takes effect everywhere at its date.
 * Cells without plans get those of the others first, with all of their versions. Throws before anything is written
 * where a cell cannot be reached, its clock is suspect, or a file must not be published.
 */
export async function publishInCells(
  cells: readonly CellAddress[],
  files: readonly PlanFile[],
  skewMaxMs: number,
): Promise<Publication> {
  const [only] = cells;
  if (only && cells.length === 1)
    return { changes: await publishNow(only.url, files, skewMaxMs), newCells: [] };
  return await withOwners(cells, async (ems) => {
    const times = await Promise.all(
      ems.map(async (em) => {
        const clocks = await readClocks(em());
        if (areClocksSuspect(clocks, skewMaxMs)) throw new ClocksDisagree();
        return Math.floor(clocks.database);
      }),
    );
    const at = Math.max(...times);
    const newCells = await copyToNewCells(cells, ems);
    const compared = await Promise.all(ems.map((em) => comparePlans(em(), files, at)));
    const errors = [...new Set(compared.flatMap((one) => one.errors))];
    if (errors.length > 0) throw new UnpublishablePlans(errors);
    const published: (readonly PlanChange[])[] = [];
    for (const em of ems) published.push(await publishPlans(em, files, at));
    await assertSamePlans(cells, ems);
    const changes = published.find((one) => !one.every(isUnchanged)) ?? published[0] ?? [];
    return { changes, newCells };
  });
}

async function copyToNewCells(
  cells: readonly CellAddress[],
  ems: readonly (() => Em)[],
): Promise<readonly NewCell[]> {
  const published = await Promise.all(ems.map((em) => publishedVersions(em())));
  const source = ems[published.findIndex((plans) => plans.length > 0)];
  for (const [index, em] of ems.entries())
    if (source && published[index]?.length === 0) await copyPlans(source(), em());
  return newCellsOf(cells, published);
}

/** `published`: what each of the cells has. */
function newCellsOf(
  cells: readonly CellAddress[],
  published: readonly (readonly string[])[],
): readonly NewCell[] {
  const plans = published.find((one) => one.length > 0);
  if (!plans) return [];
  return cells.flatMap(({ name }, index) =>
    published[index]?.length === 0 ? { cell: name, plans } : [],
  );
}

/** The cells without plans, and what the next publication gives them. */
export const findNewCells = async (cells: readonly CellAddress[]): Promise<readonly NewCell[]> =>
  newCellsOf(cells, await Promise.all(cells.map(publishedIn)));

/** Accounts of one plan would be priced by different numbers. */
async function assertSamePlans(cells: readonly CellAddress[], ems: readonly (() => Em)[]) {
  const [first = '', ...others] = await Promise.all(
    ems.map(async (em) => (await publishedVersions(em())).join('\n')),
  );
  const other = others.findIndex((versions) => versions !== first);
  if (other === -1) return;
  const names = `${cells[0]?.name} and ${cells[other + 1]?.name}`;
  throw new Error(`cells ${names} have other versions of plans: scrip cells check shows them`);
}

/** Calls `use` with the ledgers of all cells, as their owner. */
async function withOwners<Result>(
  cells: readonly CellAddress[],
  use: (ems: readonly (() => Em)[]) => Promise<Result>,
): Promise<Result> {
  const orms: Orm[] = [];
  try {
    for (const { name, url } of cells) {
      const named = (cause: Error) => new Error(`cell ${name}: ${cause.message}`, { cause });
      await assertMigrated(url).catch((error: Error) => Promise.reject(named(error)));
      orms.push(await connectAsOwner(url, entities, ANSWER_TIMEOUT_MS));
    }
    return await use(orms.map((orm) => () => orm.em.fork()));
  } finally {
    await Promise.all(orms.map((orm) => orm.close()));
  }
}

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

/** What every cell has published: see `publishedVersions`. */
export const publishedIn = ({ url }: CellAddress): Promise<readonly string[]> =>
  asService(url, (em) => publishedVersions(em()));

type Use<Result> = (em: () => Em) => Promise<Result>;

/** The role of the service has no privilege to change a price. */
const asOwner = <Result>(databaseUrl: string, use: Use<Result>): Promise<Result> =>
  withOrm(databaseUrl, () => connectAsOwner(databaseUrl, entities, ANSWER_TIMEOUT_MS), use);

const asService = <Result>(databaseUrl: string, use: Use<Result>): Promise<Result> =>
  withOrm(
    databaseUrl,
    () => connect(databaseUrl, entities, 1, ANSWER_TIMEOUT_MS, CITUS_SESSION_SETTINGS),
    use,
  );

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

/** What some cells have published and others have not, a line each. */
export async function findDifferingPlans(
  cells: readonly CellAddress[],
): Promise<readonly string[]> {
  const published = await Promise.all(cells.map(publishedIn));
  const all = new Set(published.flat());
  return cells.flatMap(({ name }, index) =>
    [...all]
      .filter((plan) => !published[index]?.includes(plan))
      .map((plan) => `cell ${name} has not published ${plan}, and another cell has`),
  );
}
