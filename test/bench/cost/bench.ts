/** What costs are measured on: one service on a database of its own, and a session that looks into it. */
import pg from 'pg';
import type { Settings } from '../database.ts';
import type { Load } from '../load-spec.ts';
import { cpuByBackend } from '../measure.ts';
import type { BenchServer } from '../servers.ts';
import type { Testbed } from '../testbed.ts';
import type { Stretch } from './wal.ts';

export const DATABASE = 'cost';

export const SETTINGS: Settings = {
  shared_preload_libraries: 'pg_stat_statements',
  // Both would happen at a moment of their own choosing.
  autovacuum: 'off',
  checkpoint_timeout: '1h',
};

export type CostBench = {
  readonly testbed: Testbed;
  readonly service: BenchServer;
  /** It is open during the measurement, and idle. */
  readonly sql: pg.Client;
};

export async function openCostBench(testbed: Testbed): Promise<CostBench> {
  const sql = new pg.Client(await testbed.databaseOf(DATABASE));
  await sql.connect();
  await sql.query('create extension pg_stat_statements');
  await sql.query('create extension pg_walinspect');
  return { testbed, service: await testbed.startServiceOn(DATABASE), sql };
}

type Counters = {
  /** CPU time of the service so far. */
  readonly serverMicros: number;
  /** CPU time of each session so far, by its pid; null if unknown. */
  readonly sessionMicros: ReadonlyMap<string, number> | null;
  readonly lsn: string;
  readonly sqlStatements: number;
};

/** Differences between the end and the beginning of a load. */
export type Counted = {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  /** Per operation, in microseconds. */
  readonly cpuMicros: { readonly server: number; readonly postgres: number | null };
  readonly lsn: Stretch;
  readonly sqlStatements: number;
};

/** Runs a load between two readings, both while nothing is in flight. `prepare` runs before the first. */
export async function runCounted(
  bench: CostBench,
  load: Load,
  prepare: () => Promise<unknown> = async () => {},
): Promise<Counted> {
  const readings: Counters[] = [];
  const result = await bench.testbed.client.run(load, {
    async prepared() {
      await prepare();
      const counters = await readCounters(bench);
      readings.push({ ...counters, ...(await readCpu(bench)) });
    },
  });
  const cpu = await readCpu(bench);
  readings.push({ ...(await readCounters(bench)), ...cpu });
  const [before, after] = readings as [Counters, Counters];
  const { completed, operations, seconds, latency } = result;
  const postgresMicros = microsBetween(before.sessionMicros, after.sessionMicros);
  return {
    operations: completed,
    perSecond: operations / seconds,
    p50Ms: latency.p50,
    cpuMicros: {
      server: (after.serverMicros - before.serverMicros) / completed,
      postgres: postgresMicros && postgresMicros / completed,
    },
    lsn: { from: before.lsn, to: after.lsn },
    sqlStatements: after.sqlStatements - before.sqlStatements,
  };
}

/** Of the service, and of PostgreSQL's sessions for its database. */
async function readCpu({ testbed, service }: CostBench) {
  return {
    sessionMicros: cpuByBackend(testbed.database.pid, `bench_${DATABASE}`),
    serverMicros: (await service.usage()).cpuMicros,
  };
}

/** A session that has ended since, because it was idle for long, took no time. */
function microsBetween(
  before: Counters['sessionMicros'],
  after: Counters['sessionMicros'],
): number | null {
  if (!before || !after) return null;
  return [...after].reduce((sum, [pid, micros]) => sum + micros - (before.get(pid) ?? 0), 0);
}

/**
 * pg_stat_statements counts a prepared BEGIN or COMMIT only once per connection, so these are left out; the WAL
 * says the commits.
 */
async function readCounters({ sql }: CostBench) {
  const { rows } = await sql.query<Pick<Counters, 'lsn' | 'sqlStatements'>>(
    `select pg_current_wal_insert_lsn()::text as lsn,
       coalesce(sum(calls), 0)::float8 as "sqlStatements"
     from pg_stat_statements
     where dbid = (select oid from pg_database where datname = current_database())
       and query !~* '^(begin|commit|rollback)'`,
  );
  return rows[0] as (typeof rows)[0];
}
