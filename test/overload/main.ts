/**
 * `npm run overload`: how the service behaves at 2, 5 and 10 times its capacity. A slow database lowers the
 * capacity, so that neither the load nor the cores of the machine are the limit. Exit code 1 if a bar is missed.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { connect } from '../../src/client.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { type Database, startDatabase } from '../bench/database.ts';
import { openAccounts } from '../bench/ledger.ts';
import { type Accounts, accountId } from '../bench/load-spec.ts';
import { type BenchServer, startService } from '../bench/servers.ts';
import { deployedPlans } from '../bench/testbed.ts';
import { type Load, run } from './load.ts';
import { SlowDatabase } from './slow-database.ts';

const one = { prefix: 'one', count: 1, planId: 'verts', grants: 1 } as const;
const many = { prefix: 'many', count: 1_000, planId: 'verts', grants: 1 } as const;
const neighbour = { prefix: 'neighbour', count: 1, planId: 'verts', grants: 1 } as const;
const ids = (of: Accounts) => Array.from({ length: of.count }, (_, index) => accountId(of, index));

const print = (text: string) => process.stdout.write(`${text}\n`);

type Cell = {
  readonly times: number;
  readonly accounts: Accounts;
  readonly connections: number;
  readonly deadlineMs: number;
};

const cells: readonly Cell[] = [2, 5, 10].flatMap((times) =>
  [one, many].flatMap((accounts) =>
    [4, 100].flatMap((connections) =>
      [250, 5_000].map((deadlineMs) => ({ times, accounts, connections, deadlineMs })),
    ),
  ),
);

/** The memory of a process in MB. */
function residentMb(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

class Matrix {
  readonly #service: BenchServer;
  readonly #seconds: number;

  constructor(service: BenchServer, seconds: number) {
    this.#service = service;
    this.#seconds = seconds;
  }

  load(changes: Partial<Load>): Load {
    return {
      address: this.#service.address,
      caller: 'load',
      accountIds: ids(many),
      connections: 4,
      perSecond: null,
      inFlight: 128,
      seconds: this.#seconds,
      deadlineMs: 30_000,
      ...changes,
    };
  }

  /** Calls a second with as many in flight as suffice. */
  async capacity(accounts: Accounts): Promise<number> {
    const { ok } = await run(this.load({ accountIds: ids(accounts) }));
    return ok / this.#seconds;
  }

  async measure(cell: Cell, capacity: number) {
    const { times, accounts, connections, deadlineMs } = cell;
    let residentMax = 0;
    const sampling = setInterval(() => {
      residentMax = Math.max(residentMax, residentMb(this.#service.pid));
    }, 100);
    const [loaded, beside] = await Promise.all([
      run(
        this.load({
          accountIds: ids(accounts),
          connections,
          deadlineMs,
          perSecond: capacity * times,
        }),
      ),
      run(
        this.load({
          caller: 'neighbour',
          accountIds: ids(neighbour),
          connections: 1,
          perSecond: 20,
        }),
      ),
    ]);
    clearInterval(sampling);
    return { loaded, beside, residentMax, normalAfterMs: await this.normalAfterMs() };
  }

  /** How long after the load 10 charges in a row have been answered within 100 ms each. */
  async normalAfterMs(): Promise<number> {
    const scrip = connect(this.#service.address, { caller: 'probe' });
    const [account = ''] = ids(neighbour);
    const startedAt = performance.now();
    try {
      for (let good = 0, since = startedAt; ; ) {
        const at = performance.now();
        const isOk = await scrip.billing
          .charge({ accountId: account, requestId: crypto.randomUUID(), credits: 1n })
          .then(
            () => true,
            () => false,
          );
        const isGood = isOk && performance.now() - at < 100;
        if (!isGood) {
          good = 0;
          since = performance.now();
        } else if (++good === 10) return Math.round(since - startedAt);
        if (performance.now() - startedAt > 30_000) return 30_000;
      }
    } finally {
      scrip.close();
    }
  }
}

const percent = (part: number, of: number) => `${Math.round((part / of) * 100)} %`;
const ms = (value: number) => `${Math.round(value)}`;

function row(
  { times, accounts, connections, deadlineMs }: Cell,
  capacity: number,
  seconds: number,
  { loaded, beside, residentMax, normalAfterMs }: Awaited<ReturnType<Matrix['measure']>>,
): string {
  const goodput = (loaded.ok + beside.ok) / seconds / capacity;
  const others = Object.values(loaded.others).reduce((sum, count) => sum + count, 0);
  return `| ${[
    times,
    accounts.count,
    connections,
    deadlineMs,
    goodput.toFixed(2),
    ms(loaded.p50Ms),
    ms(loaded.p99Ms),
    percent(loaded.overloaded, loaded.sent),
    percent(loaded.late, loaded.sent),
    others,
    percent(beside.ok, beside.sent),
    ms(beside.p99Ms),
    residentMax,
    normalAfterMs,
  ].join(' | ')} |`;
}

const HEAD = `| load / capacity | accounts | connections | deadline ms | goodput | p50 ms | p99 ms | overloaded | late | other errors | neighbour ok | neighbour p99 ms | MB | normal after ms |
| ${Array(14).fill('---').join(' | ')} |`;

async function calibrate(proxy: SlowDatabase, matrix: Matrix, perSecond: number) {
  const before = proxy.bytes;
  const { ok } = await run(matrix.load({}));
  proxy.bytesPerSecond = ((proxy.bytes - before) / ok) * perSecond;
}

async function main(seconds: number, perSecond: number, only: number | undefined) {
  const database: Database = await startDatabase();
  await publishAt(database.template, await deployedPlans(), Date.now());
  const proxy = new SlowDatabase(await database.clone('overload'));
  await proxy.open();
  const service = await startService(proxy.url);
  try {
    await openAccounts(service.address, [one, many, neighbour]);
    const matrix = new Matrix(service, seconds);
    await calibrate(proxy, matrix, perSecond);
    const capacities = new Map<Accounts, number>();
    for (const accounts of [one, many]) capacities.set(accounts, await matrix.capacity(accounts));
    for (const [accounts, capacity] of capacities)
      print(`Capacity, ${accounts.count} accounts: ${Math.round(capacity)} charges a second`);
    print(HEAD);
    for (const cell of cells) {
      if (only !== undefined && cell.times !== only) continue;
      const capacity = capacities.get(cell.accounts) ?? 0;
      print(row(cell, capacity, seconds, await matrix.measure(cell, capacity)));
    }
  } finally {
    await service.stop();
    await proxy.close();
    await database.stop();
  }
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    capacity: { type: 'string', default: '500' },
    times: { type: 'string' },
  },
});
await main(
  Number(values.seconds),
  Number(values.capacity),
  values.times ? Number(values.times) : undefined,
);
