/** Measures what one operation costs. */
import { type CostBench, type Counted, runCounted } from './bench.ts';
import type { CostOperation } from './operations.ts';
import { type Growth, growthOf, type Relation, readSizes } from './sizes.ts';
import { type Rows, readWal, rowsPerOperation } from './wal.ts';

/** Everything is per operation, except `operations` and `perSecond`. */
export type Cost = Pick<Counted, 'operations' | 'perSecond' | 'cpuMicros'> &
  Pick<CostOperation, 'name' | 'title' | 'unit' | 'short'> & {
    readonly walBytes: number;
    /** Without images of whole pages, which depend on the time since the last checkpoint. */
    readonly walBytesWithoutImages: number;
    /** Without BEGIN and COMMIT. */
    readonly sqlStatements: number;
    /** Transactions that wrote something. */
    readonly commits: number;
    readonly rows: readonly Rows[];
    readonly growth: readonly Growth[];
    /** The same until the tables have about doubled; null: not measured. */
    readonly doubling: readonly Growth[] | null;
  };

/** Numbers of operations. */
export type Counts = {
  readonly warmUp: number;
  readonly measured: number;
  /** Pairs after the warm-up until the tables have about doubled; null: not measured. */
  readonly doubling: number | null;
};

export async function measureCost(
  bench: CostBench,
  { name, title, unit, short, load }: CostOperation,
  { warmUp, measured, doubling }: Counts,
): Promise<Cost> {
  const { testbed, service, sql } = bench;
  await testbed.client.run(load(service.address, warmUp));
  let before: Relation[] = [];
  const counted = await runCounted(bench, load(service.address, measured), async () => {
    before = await vacuumedSizes(bench);
    // Otherwise it would come at some point of the measurement.
    await sql.query('checkpoint');
  });
  const { operations, perSecond, cpuMicros } = counted;
  const wal = await readWal(sql, counted.lsn);
  const growth = growthOf(before, await vacuumedSizes(bench), operations);
  const more = doubling !== null && unit === 'pair' ? doubling - operations : null;
  return {
    ...{ name, title, unit, short, operations, perSecond, cpuMicros },
    walBytes: wal.bytes / operations,
    walBytesWithoutImages: (wal.bytes - wal.imageBytes) / operations,
    sqlStatements: counted.sqlStatements / operations,
    commits: wal.commits / operations,
    rows: rowsPerOperation(wal.rows, operations),
    growth,
    doubling: more === null ? null : await growthWith(more, bench, load, before, operations),
  };
}

/**
 * Growth with so many more operations. An index with random keys grows in waves, one for each doubling: its
 * pages fill up together, and then split together. A figure over one doubling does not depend on where in a
 * wave the measurement began.
 */
async function growthWith(
  more: number,
  bench: CostBench,
  load: CostOperation['load'],
  before: readonly Relation[],
  operations: number,
): Promise<Growth[]> {
  const { completed } = await bench.testbed.client.run(load(bench.service.address, more));
  return growthOf(before, await vacuumedSizes(bench), operations + completed);
}

/** Vacuum makes the space of dead rows usable, so growth is what stays. */
async function vacuumedSizes({ sql }: CostBench): Promise<Relation[]> {
  await sql.query('vacuum');
  return await readSizes(sql);
}
