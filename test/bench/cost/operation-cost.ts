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
    /**
     * The same until the tables have about doubled; null: not measured. An index with random keys grows in
     * waves, one for each doubling: its pages fill up together, and then split together. A figure over one
     * doubling does not depend on where in a wave the measurement began.
     */
    readonly doubling: readonly Growth[] | null;
  };

/** Numbers of operations. */
export type Counts = {
  readonly warmUp: number;
  readonly measured: number;
  /** Whether as many pairs again about double the tables, and are measured. */
  readonly doubles: boolean;
};

export async function measureCost(
  bench: CostBench,
  { name, title, unit, short, load }: CostOperation,
  { warmUp, measured, doubles }: Counts,
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
  const again = async () => {
    const { completed } = await testbed.client.run(load(service.address, measured));
    return growthOf(before, await vacuumedSizes(bench), operations + completed);
  };
  return {
    ...{ name, title, unit, short, operations, perSecond, cpuMicros },
    walBytes: wal.bytes / operations,
    walBytesWithoutImages: (wal.bytes - wal.imageBytes) / operations,
    sqlStatements: counted.sqlStatements / operations,
    commits: wal.commits / operations,
    rows: rowsPerOperation(wal.rows, operations),
    growth,
    doubling: doubles && unit === 'pair' ? await again() : null,
  };
}

/**
 * Vacuum makes the space of dead rows usable, so growth is what stays. What it frees at the end it also freed at
 * the beginning, as there are as many operations before each vacuum.
 */
async function vacuumedSizes({ sql }: CostBench): Promise<Relation[]> {
  await sql.query('vacuum');
  return await readSizes(sql);
}
