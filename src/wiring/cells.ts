/** All cells of the service. It starts without those that cannot be reached, and takes them up when they can be. */
import type { Logger } from 'pino';
import type { CellRouter } from '../cells/cell-router.ts';
import type { Clock } from '../clock/clock.ts';
import { toDatabaseFailure } from '../pg/failures.ts';
import { Poller } from '../poller.ts';
import type { RpcServer } from '../rpc/server.ts';
import type { ServiceContext, SharedContext } from '../rpc/service-context.ts';
import { RunningCell } from './cell.ts';
import type { Shared } from './context.ts';
import { type Ledger, type LedgerOptions, openLedger } from './ledger.ts';

/**
 * The ledgers that can be reached. Rejects where none can be, or where one is wrong, such as of another version: that
 * would not change by itself.
 */
export async function openLedgers(options: LedgerOptions): Promise<readonly Ledger[]> {
  const { cells } = options.installation;
  const opened = await Promise.allSettled(cells.map((cell) => openLedger(cell, options)));
  const ledgers = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failures = opened.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  const fatal = failures.find((error) => cells.length === 1 || !toDatabaseFailure(error));
  const failure = fatal ?? (ledgers.length === 0 ? failures[0] : undefined);
  if (failure === undefined) return ledgers;
  await Promise.all(ledgers.map((ledger) => ledger.close()));
  throw failure;
}

export type CellsOptions = {
  readonly ledgers: LedgerOptions;
  readonly shared: Shared;
  readonly router: CellRouter<ServiceContext>;
};

export class Cells {
  readonly router: CellRouter<ServiceContext>;
  readonly #options: CellsOptions;
  readonly #running: RunningCell[] = [];
  #taking: Poller | null = null;
  #calls: SharedContext | null = null;
  #rpc: RpcServer | null = null;

  constructor(options: CellsOptions) {
    this.#options = options;
    this.router = options.router;
  }

  get running(): readonly RunningCell[] {
    return this.#running;
  }

  /** Starts the cell of an open ledger, which is closed with it. */
  async start(ledger: Ledger): Promise<void> {
    const cell = await RunningCell.start(this.#options.shared, ledger);
    this.#running.push(cell);
    await cell.follow(this.router);
  }

  /** The cells serve calls from now on. */
  serve(calls: SharedContext) {
    this.#calls = calls;
    for (const cell of this.#running) this.router.add(cell.name, cell.serviceContext(calls));
  }

  /** Watches the cells that run, and takes up those that do not, when they can be reached. */
  async watch(rpc: RpcServer): Promise<void> {
    this.#rpc = rpc;
    for (const cell of this.#running) await cell.watch(rpc, this.router);
    const missing = this.#missing;
    if (missing.length === 0) return;
    const { config, log } = this.#options.shared;
    for (const { name } of missing)
      log.error({ cell: name }, 'the cell cannot be reached: its accounts are unavailable');
    this.#taking = new Poller({
      name: 'taking up of cells',
      intervalMs: config.DATABASE_PROBE_INTERVAL_MS,
      log,
      run: async () => {
        await this.takeUp();
        return false;
      },
    });
  }

  get #missing() {
    const { cells } = this.#options.ledgers.installation;
    return cells.filter(({ name }) => !this.#running.some((cell) => cell.name === name));
  }

  /** Takes up the cells that do not run and can be reached now, without waiting for the interval. */
  async takeUp(): Promise<void> {
    const { ledgers, shared } = this.#options;
    for (const { name, ...address } of this.#missing) {
      try {
        const ledger = await openLedger({ name, ...address }, ledgers);
        const cell = await RunningCell.start(shared, ledger).catch(async (error: unknown) => {
          await ledger.close();
          throw error;
        });
        this.#running.push(cell);
        await cell.follow(this.router);
        if (this.#calls) this.router.add(name, cell.serviceContext(this.#calls));
        if (this.#rpc) await cell.watch(this.#rpc, this.router);
        shared.log.info({ cell: name }, 'the cell can be reached: its accounts are served');
      } catch (error) {
        logStillMissing(shared.log, name, error);
      }
    }
  }

  /** The cells finish what they have begun. Calls are answered until the lanes are closed. */
  async stopParts(graceMs: number): Promise<void> {
    await this.#taking?.stop();
    await Promise.all(this.#running.map((cell) => cell.stopParts(graceMs)));
  }

  async closeLanes(): Promise<void> {
    await Promise.all(this.#running.map(({ work }) => work.lanes.close()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((cell) => cell.close()));
  }

  /** Does something in every cell that runs. */
  async inEach(act: (cell: RunningCell) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#running.map(act));
  }
}

/** That it still cannot be reached is no news. */
function logStillMissing(log: Logger, cell: string, error: unknown) {
  if (toDatabaseFailure(error)) log.debug({ err: error, cell }, 'the cell cannot be reached');
  else log.error({ err: error, cell }, 'the cell cannot be used');
}

/** The clock of what belongs to no account: that of the first cell whose clock can be trusted. */
export function clockOfAny(cells: CellRouter<ServiceContext>): Clock {
  const reliable = () => cells.reachable().find(({ clock }) => clock.isReliable);
  // Every answer asks for the time.
  if (cells.isOne)
    return {
      now: () => cells.any().clock.now(),
      get isReliable() {
        return cells.any().clock.isReliable;
      },
    };
  return {
    now: () => (reliable() ?? cells.any()).clock.now(),
    get isReliable() {
      return reliable() !== undefined;
    },
  };
}
