/** The parts that change accounts, or tell others what was changed; none of them listens on a port. */
import type { Logger } from 'pino';
import {
  type AccountCache,
  LruAccountCache,
  NoAccountCache,
} from '../account-cache/account-cache.ts';
import { anchorDirectoryOf } from '../anchors/anchor-directory.ts';
import { readSigningKey } from '../anchors/anchor-key.ts';
import { startAnchorSchedule } from '../anchors/anchor-schedule.ts';
import { Archive } from '../archive/archive.ts';
import { archiveDirectoriesOf } from '../archive/archive-directory.ts';
import type { EntryFollower } from '../entry-follower.ts';
import { type EventPipeline, startEventPipeline } from '../events/event-pipeline.ts';
import { GrantLimits } from '../lanes/grant-limits.ts';
import { Lanes } from '../lanes/lanes.ts';
import { singleTasks, type Task } from '../lanes/task.ts';
import { unitOfWork } from '../lanes/unit-of-work.ts';
import type { Book } from '../ledger/book.ts';
import { Payments } from '../payments/payments.ts';
import { Reconciler } from '../payments/reconciler.ts';
import { TopUps } from '../payments/top-ups.ts';
import type { Poller } from '../poller.ts';
import { newestSeqs } from '../queries/entries.ts';
import { Refusals } from '../refusals.ts';
import { rollForwardFollower } from '../roll-forward/roll-forward-follower.ts';
import { PlanChanges } from '../sweeper/plan-changes.ts';
import { StatementCloser } from '../sweeper/statement-closer.ts';
import { Sweeper } from '../sweeper/sweeper.ts';
import { Tail } from '../tail.ts';
import { usageFollower } from '../usage/usage-follower.ts';
import type { Context, Stoppable } from './context.ts';

/** Payments are null where no payment provider is configured. */
export type Work = {
  readonly lanes: Lanes;
  readonly archive: Archive;
  readonly events: EventPipeline;
  readonly historyTail: Tail;
  readonly statementCloser: StatementCloser;
  readonly sweeper: Sweeper;
  readonly refusals: Refusals;
  readonly usage: EntryFollower;
  readonly rollForward: EntryFollower;
  readonly payments: ReturnType<typeof startPayments>;
  /** Without the lanes, which all of these need until they have stopped. */
  readonly parts: readonly Stoppable[];
};

type LanesContext = Pick<
  Context,
  'config' | 'rootEm' | 'catalogue' | 'clock' | 'monotonic' | 'tracing' | 'observers' | 'log'
>;

export async function startWork(context: Context): Promise<Work> {
  const { config, metrics } = context;
  const events = await startEventPipeline(config, context);
  const historyTail = createHistoryTail(context);
  const { usage, rollForward } = startFollowers(context);
  const lanes = createLanes(context, (books) => {
    tellFollowers(books, historyTail, events, usage);
    if (metrics.exports.isOn)
      for (const { changes } of books) metrics.work.entriesCommitted(changes.entries);
  });
  const payments = startPayments(context, lanes);
  const archive = createArchive(context);
  const sweeping = startSweeper(context, lanes, archive);
  const refusals = startRefusals(context, lanes);
  const parts: Stoppable[] = [events, sweeping.sweeper, historyTail, refusals, usage, rollForward];
  if (payments) parts.push(payments.topUps, payments.reconciler);
  return {
    lanes,
    archive,
    events,
    historyTail,
    ...sweeping,
    refusals,
    usage,
    rollForward,
    payments,
    parts,
  };
}

function createArchive({ config, cell }: Context): Archive {
  if (!config.ARCHIVE_DIRECTORY) return new Archive(null);
  const { directory, earlierDirectory } = archiveDirectoriesOf(config.ARCHIVE_DIRECTORY, cell);
  return new Archive(directory, earlierDirectory);
}

function createHistoryTail({ config, em, log }: Context): Tail {
  return new Tail({
    name: 'tail of histories',
    fetchNewest: (accountIds) => newestSeqs(em(), accountIds),
    intervalMs: config.HISTORY_POLL_MS,
    log,
  });
}

/** Also of what writes beside the replicas. */
export function createLanes(
  { config, rootEm, catalogue, clock, monotonic, tracing, observers, log }: LanesContext,
  onCommit: (books: readonly Book[]) => void,
): Lanes {
  const cache = createAccountCache(config.ACCOUNT_CACHE_MAX);
  const grantLimits = new GrantLimits();
  const observing = { tracing, observers };
  const context = { em: rootEm, catalogue, clock, ...observing, cache, grantLimits, onCommit };
  return new Lanes(config.LANES, {
    run: (tasks, waitPolicy, record) => unitOfWork(context, tasks, waitPolicy, record),
    unitsMax: config.UNITS_MAX,
    groupMax: config.GROUP_MAX,
    waitMaxMs: config.WAIT_MAX_MS,
    now: monotonic,
    onBug: (error, task) => logBug(log, error, task),
  });
}

const createAccountCache = (max: number): AccountCache =>
  max > 0 ? new LruAccountCache(max) : new NoAccountCache();

function logBug(log: Logger, error: unknown, task: Task) {
  const [decided] = singleTasks([task]);
  const command = decided &&
    'command' in decided && {
      command: decided.command.kind,
      trace_id: decided.origin.traceId,
      span_id: decided.origin.spanId,
    };
  log.error({ err: error, account_id: task.accountId, ...command }, 'bug');
}

/** Tells followers of histories, of events and of usage what was committed. */
function tellFollowers(
  books: readonly Book[],
  historyTail: Tail,
  events: EventPipeline,
  usage: EntryFollower,
) {
  for (const { account, changes } of books) {
    if (changes.entries.length === 0) continue;
    historyTail.advance(account.accountId, account.seq);
    usage.remember(account.accountId);
  }
  if (books.some(({ changes }) => changes.events.length > 0)) events.onEventsCommitted();
}

function startSweeper(
  { config, em, clock, catalogue, tracing, log }: Context,
  lanes: Lanes,
  archive: Archive,
) {
  const accountsMax = config.SWEEP_ACCOUNTS_MAX;
  const intervalMs = config.SWEEP_INTERVAL_MS;
  const shared = { em, clock, lanes, accountsMax };
  const statementCloser = new StatementCloser({ ...shared, archive, catalogue, tracing, log });
  const planChanges = new PlanChanges({ ...shared, catalogue });
  const statements = statementCloser;
  const sweeper = new Sweeper({ ...shared, statements, planChanges, tracing, log, intervalMs });
  return { statementCloser, sweeper };
}

function startFollowers({ config, em, monotonic, log }: Context) {
  const options = { em, monotonic, log, intervalMs: config.USAGE_INTERVAL_MS };
  // Nobody tells the second one what was written: roll-forwards are read once a month.
  return { usage: usageFollower(options), rollForward: rollForwardFollower(options) };
}

const startRefusals = ({ config, clock, log }: Context, lanes: Lanes) =>
  new Refusals({ lanes, clock, log, intervalMs: config.REFUSALS_INTERVAL_MS });

function startPayments({ config, stripe, em, clock, tracing, log }: Context, lanes: Lanes) {
  if (!stripe) return null;
  const payments = new Payments({ stripe, em, lanes, clock, log });
  const shared = { payments, em, clock, tracing, log };
  const reconciler = new Reconciler({
    ...shared,
    intervalMs: config.PURCHASE_CHECK_INTERVAL_MS,
    checkAfterMs: config.PURCHASE_CHECK_AFTER_MS,
    batchMax: config.PURCHASE_CHECK_MAX,
  });
  const topUps = new TopUps({
    ...shared,
    lanes,
    intervalMs: config.TOP_UP_INTERVAL_MS,
    batchMax: config.TOP_UP_MAX,
  });
  return { payments, reconciler, topUps };
}

/** Null where no directory is configured. */
export async function startAnchors({
  cell,
  config,
  em,
  clock,
  log,
}: Context): Promise<Poller | null> {
  const { ANCHOR_DIRECTORY, ANCHOR_KEY_FILE: file } = config;
  if (!ANCHOR_DIRECTORY || !file) return null;
  const key = await readSigningKey(file);
  const directory = await anchorDirectoryOf(ANCHOR_DIRECTORY, cell);
  const intervalMs = config.ANCHOR_INTERVAL_MS;
  return startAnchorSchedule({ em, clock, directory, key, intervalMs, log });
}
