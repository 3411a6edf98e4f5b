/** The ledger of one cell: its database, its clock and its plans. */
import type { Logger } from 'pino';
import type { CellAddress } from '../cells/cells-file.ts';
import { CitusNode } from '../cells/citus-node.ts';
import type { Installation } from '../cells/installation.ts';
import { assertCell } from '../cells/recorded-map.ts';
import { isSandbox } from '../clock/clock-records.ts';
import { ReplicaClock, systemTimeSources, type TimeSources } from '../clock/replica-clock.ts';
import type { Config } from '../config.ts';
import { assertMigrated } from '../pg/migrate.ts';
import { connect, connectToCitus, type Em, type Orm } from '../pg/orm.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { isUnchanged } from '../pricing/plan-change.ts';
import { WrongDatabase } from '../sandbox/mark.ts';
import { SandboxClock } from '../sandbox/sandbox-clock.ts';
import { Catalogue } from '../store/catalogue.ts';
import { comparePlans } from '../store/publish-plans.ts';
import { entities } from '../store/tables/index.ts';

export type LedgerOptions = {
  readonly config: Config;
  readonly installation: Installation;
  /** Those of this replica; null: none that can be read. */
  readonly planFiles: readonly PlanFile[] | null;
  readonly log: Logger;
  /** Tests give it other clocks. */
  readonly sources: Partial<TimeSources>;
  readonly isToBeSandbox: boolean;
};

export type Ledger = {
  /** Null: there is one. */
  readonly cell: string | null;
  readonly address: CellAddress;
  /** The server of a Citus cluster that has the ledger; null: its database does not move. */
  readonly node: CitusNode | null;
  readonly log: Logger;
  readonly orm: Orm;
  readonly em: () => Em;
  readonly clock: ReplicaClock;
  readonly catalogue: Catalogue;
  /** The published plans. */
  readonly planIds: readonly string[];
  readonly sandboxClock: SandboxClock | null;
  close(): Promise<void>;
};

/**
 * Connects to the ledger of a cell. Rejects where it cannot be reached, is no ledger of this version, or is another
 * cell than the map says; and with WrongDatabase where a sandbox is to run on another database than a sandbox's, or
 * the reverse.
 */
export async function openLedger(address: CellAddress, options: LedgerOptions): Promise<Ledger> {
  const { config, installation, planFiles, sources, isToBeSandbox } = options;
  const cell = installation.cells.length === 1 ? null : address.name;
  const log = cell === null ? options.log : options.log.child({ cell });
  const { citusSchema } = address;
  const node = citusSchema === undefined ? null : await CitusNode.find(address.url, citusSchema);
  const url = node?.url ?? address.url;
  if (cell !== null) {
    await assertMigrated(url);
    await assertCell({ ...address, url }, installation.map);
  }
  const { DATABASE_POOL_MAX: poolMax, DATABASE_TIMEOUT_MS: timeoutMs } = config;
  const orm = node
    ? await connectToCitus(node, entities, poolMax, timeoutMs)
    : await connect(url, entities, poolMax, timeoutMs);
  const em = () => orm.em.fork();
  let clock: ReplicaClock | null = null;
  let closing: Promise<void> | null = null;
  const closeAll = async () => {
    await clock?.stop();
    await orm.close();
  };
  const close = () => {
    closing ??= closeAll();
    return closing;
  };
  try {
    await assertKind(em(), isToBeSandbox);
    const sandboxClock = isToBeSandbox ? await SandboxClock.open(em) : null;
    const catalogue = new Catalogue(em);
    clock = await startClock(config, em, log, { ...sources, ...sandboxClock?.sources });
    const opened = { cell, address, node, log, orm, em, clock, catalogue, sandboxClock, close };
    const planIds = await loadPublishedPlans(opened);
    if (planFiles) await warnOfOtherPlans(opened, planFiles);
    return { ...opened, planIds };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Prices and balances of a sandbox are not true, and a sandbox would ruin those that are. */
async function assertKind(em: Em, isToBeSandbox: boolean) {
  const found = await isSandbox(em);
  if (found && !isToBeSandbox)
    throw new WrongDatabase(
      'the database is a sandbox, for ever: start the service with --sandbox',
    );
  if (!found && isToBeSandbox)
    throw new WrongDatabase(
      'the database is not a sandbox: scrip sandbox create makes one of an empty database',
    );
}

async function startClock(
  config: Config,
  em: () => Em,
  log: Logger,
  sources: Partial<TimeSources>,
): Promise<ReplicaClock> {
  return await ReplicaClock.start({
    em,
    sources: { ...systemTimeSources(em), ...sources },
    limits: { skewMaxMs: config.CLOCK_SKEW_MAX_MS, settleMs: config.CLOCK_SETTLE_MS },
    intervalMs: config.CLOCK_SAMPLE_INTERVAL_MS,
    log,
  });
}

type Published = Pick<Ledger, 'cell' | 'em' | 'clock' | 'catalogue' | 'log'>;

/** Loads the plans of the database and returns their ids. Throws if nothing was ever published. */
async function loadPublishedPlans({
  cell,
  catalogue,
  clock,
}: Published): Promise<readonly string[]> {
  const planIds = await catalogue.publishedPlanIds();
  const where = cell === null ? 'the database' : `cell ${cell}`;
  if (planIds.length === 0)
    throw new Error(`no plan is published in ${where}: run scrip plans publish`);
  if (clock.isReliable) await catalogue.findPlans(clock.now());
  return planIds;
}

/** Tells operators, once, that this replica was started with other plan files than the published ones. */
async function warnOfOtherPlans({ em, clock, log }: Published, planFiles: readonly PlanFile[]) {
  // Files have dates: without a time that can be trusted nobody knows what they say.
  if (!clock.isReliable) return;
  const { changes, errors, withoutFile } = await comparePlans(em(), planFiles, clock.now());
  const differing = changes.filter((change) => !isUnchanged(change));
  if (differing.length + errors.length + withoutFile.length === 0) return;
  log.warn(
    {
      not_published: differing.flatMap(({ file, published }) => (published ? [] : [file.planId])),
      differing: differing.flatMap(({ file, published }) => (published ? [file.planId] : [])),
      without_file: withoutFile,
      unpublishable: errors,
    },
    'the plan files differ from the published plans, which are in force: see scrip plans status',
  );
}
