/** A cell at work: its parts, what the handlers of its accounts ask, and whether its database can be used. */
import type pg from 'pg';
import { LedgerGauges } from '../admin/ledger-gauges.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import { MapFollower } from '../cells/map-follower.ts';
import { SpreadWatch } from '../cells/spread-watch.ts';
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
  #follower: MapFollower | null = null;

  /** Starts the parts of a cell that listen on no port. The ledger is closed with it. */
  static async start(shared: Shared, ledger: Ledger): Promise<RunningCell> {
    const { orm } = ledger;
    const context = { ...shared, ...ledger, pool: orm.pool, rootEm: orm.em };
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
      // Of the only cell the probe asks whether accounts have left it.
      readMap: async () => await (this.#follower ? this.#follower.read() : this.probe()),
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
      rollForward: work.rollForward,
      payments: work.payments?.payments ?? null,
      snapshots: new AccountSnapshots(rootEm, catalogue, clock),
      customPacks: new CustomPacks(em),
    };
  }

  /** Follows the map that the cell's database has, where there are several cells. It is read once before. */
  async follow(cells: CellRouter<ServiceContext>): Promise<void> {
    const { cell, em, monotonic, log } = this.context;
    if (cell === null) return;
    this.#follower = new MapFollower({ cell, em, cells, monotonic, log });
    this.#parts.push(this.#follower);
    await this.#follower.read();
  }

  /** Tells the server and the router, from now on, whether the cell can be used, and writes its anchors. */
  async watch(rpc: RpcServer, cells: CellRouter<ServiceContext>): Promise<void> {
    const { cell, config, clock, log } = this.context;
    clock.watch((hasReliableClock) => rpc.report(this.name, { hasReliableClock }));
    let [answers, isSpread] = [true, false];
    const report = () => rpc.report(this.name, { hasDatabase: answers && !isSpread });
    // Cells of a file follow the map.
    const spreadWatch = new SpreadWatch({
      log,
      onChange(found) {
        isSpread = found;
        cells.spread(isSpread);
        report();
      },
    });
    this.#probe = new DatabaseProbe({
      ...probed(this.#ledger, cell === null ? spreadWatch : null),
      intervalMs: config.DATABASE_PROBE_INTERVAL_MS,
      log,
      onChange: (hasDatabase) => {
        answers = hasDatabase;
        cells.report(this.name, answers);
        report();
      },
    });
    this.#parts.push(this.#probe);
    const { node } = this.#ledger;
    if (node) node.unreachable = () => void this.probe();
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

/** What the probe asks. Of a cell that moves it asks where the cell is, so that it is followed. */
const probed = ({ address, node, log }: Ledger, spreadWatch: SpreadWatch | null) => ({
  databaseUrl: () => node?.url ?? address.url,
  ask: (client: pg.Client): Promise<unknown> =>
    node?.ask(client) ?? spreadWatch?.ask(client) ?? client.query('select 1'),
  onFailure: async () => {
    await node
      ?.askCoordinator()
      .catch((error: unknown) => log.debug({ err: error }, 'the coordinator does not answer'));
  },
});

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
