/** A cell at work: its parts, what the handlers of its accounts ask, and whether its database can be used. */
import { LedgerGauges } from '../admin/ledger-gauges.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import { DatabaseProbe } from '../database-probe.ts';
import { AccountSnapshots } from '../queries/account-snapshots.ts';
import { CustomPacks } from '../queries/custom-packs.ts';
import type { RpcServer } from '../rpc/server.ts';
import type { ServiceContext, SharedContext } from '../rpc/service-context.ts';
import type { Context, Shared, Stoppable } from './context.ts';
import type { Ledger } from './ledger.ts';
import { startAnchors, startWork, type Work } from './work.ts';

/** How long a query of the gauges may take to end. PostgreSQL gives it 2 s. */
const GAUGES_STOP_MS = 2_500;

export class RunningCell {
  readonly name: string;
  readonly context: Context;
  readonly work: Work;
  readonly #gauges: LedgerGauges | null;
  readonly #ledger: Ledger;
  /** Without the lanes, which all of these need until they have stopped. */
  readonly #parts: Stoppable[];
  #probe: DatabaseProbe | null = null;

  /** Starts the parts of a cell that listen on no port. The ledger is closed with it. */
  static async start(shared: Shared, ledger: Ledger): Promise<RunningCell> {
    const { address, orm } = ledger;
    const database = { databaseUrl: address.url, pool: orm.pool, rootEm: orm.em };
    const context = { ...shared, ...ledger, ...database };
    return new RunningCell(ledger, context, await startWork(context));
  }

  private constructor(ledger: Ledger, context: Context, work: Work) {
    this.name = ledger.address.name;
    this.context = context;
    this.work = work;
    this.#ledger = ledger;
    this.#gauges = context.metrics.exports.isOn ? startGauges(context) : null;
    this.#parts = [...work.parts];
  }

  /** What the handlers ask for calls on its accounts. */
  serviceContext(calls: SharedContext): ServiceContext {
    const { rootEm, em, catalogue, clock, log } = this.context;
    const { work } = this;
    return {
      ...calls,
      cell: this.name,
      log,
      em,
      archive: this.work.archive,
      clock,
      catalogue,
      lanes: work.lanes,
      refusals: work.refusals,
      tail: work.historyTail,
      eventTail: work.events.tail,
      statementCloser: work.statementCloser,
      usage: work.usage,
      payments: work.payments?.payments ?? null,
      snapshots: new AccountSnapshots(rootEm, catalogue, clock),
      customPacks: new CustomPacks(em),
    };
  }

  /** Tells the server and the router, from now on, whether the cell can be used, and writes its anchors. */
  async watch(rpc: RpcServer, cells: CellRouter<ServiceContext>): Promise<void> {
    const { config, clock, databaseUrl, log } = this.context;
    clock.watch((hasReliableClock) => rpc.report(this.name, { hasReliableClock }));
    this.#probe = new DatabaseProbe({
      databaseUrl,
      intervalMs: config.DATABASE_PROBE_INTERVAL_MS,
      log,
      onChange: (hasDatabase) => {
        cells.report(this.name, hasDatabase);
        rpc.report(this.name, { hasDatabase });
      },
    });
    this.#parts.push(this.#probe);
    const anchors = await startAnchors(this.context);
    if (anchors) this.#parts.push(anchors);
  }

  /** Asks the database whether it answers, without waiting for the interval. */
  async probe(): Promise<void> {
    await this.#probe?.probe();
  }

  /** Reads the gauges of the ledger now, without waiting for the interval. */
  async readGauges(): Promise<void> {
    await this.#gauges?.read();
  }

  /** Finishes what the parts have begun. Calls are answered until its lanes are closed. */
  async stopParts(graceMs: number): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.stop(graceMs)));
  }

  /** When nothing asks the database any more. */
  async close(): Promise<void> {
    await this.#gauges?.stop(GAUGES_STOP_MS);
    await this.#ledger.close();
  }
}

const startGauges = ({ cell, em, clock, monotonic, log, config, metrics }: Context): LedgerGauges =>
  new LedgerGauges({
    cell,
    em,
    clock,
    monotonic,
    log,
    intervalMs: config.LEDGER_GAUGES_INTERVAL_MS,
    instruments: metrics.instruments,
  });
