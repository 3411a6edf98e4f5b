/** Measures one load: throughput and latency at the client, and the CPU time of each process. */
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import type { LoadClient } from './load-client.ts';
import type { Load, Percentiles } from './load-spec.ts';
import type { BenchServer } from './servers.ts';

export type Measured = {
  readonly perSecond: number;
  readonly latencyMs: Percentiles;
  /** How late an open loop started its operations. */
  readonly lagMs: Percentiles | null;
  /** CPU time per operation, in microseconds; null if unknown. */
  readonly cpuMicros: {
    readonly server: number | null;
    readonly postgres: number | null;
    readonly client: number;
  };
  /** Share of the machine's CPU time that other processes used, 0 to 1. */
  readonly othersShare: number;
  /** Resident memory of the server; of several, the largest. */
  readonly rssMb: number | null;
  /** Event-loop delay of the server, 99th percentile. */
  readonly loopDelayMs: number | null;
};

export type MeasuredProcesses = {
  readonly client: LoadClient;
  /** Servers whose CPU time counts. */
  readonly servers: readonly BenchServer[];
  /** pid of PostgreSQL's postmaster. */
  readonly postgres: number;
  /** That of another server, for two cells. */
  readonly secondPostgres?: number;
  /** Counts only the sessions of this database. Default: PostgreSQL as a whole. */
  readonly database?: string;
};

export async function measure(processes: MeasuredProcesses, load: Load): Promise<Measured> {
  const marks: ReturnType<typeof readUsage>[] = [];
  const result = await processes.client.run(load, {
    mark: () => marks.push(readUsage(processes)),
  });
  const [before, after] = await Promise.all(marks);
  if (!before || !after) throw new Error('the load was not measured');
  const { operations, seconds, latency, lag, clientCpuMicros } = result;
  const ours = [
    (after.serverMicros ?? 0) - (before.serverMicros ?? 0),
    (after.postgresMicros ?? 0) - (before.postgresMicros ?? 0),
    clientCpuMicros,
  ].reduce((sum, micros) => sum + micros, 0);
  const others = after.busyMicros - before.busyMicros - ours;
  const perOperation = (from: number | null, to: number | null) =>
    from === null || to === null ? null : (to - from) / operations;
  return {
    perSecond: operations / seconds,
    latencyMs: latency,
    lagMs: lag,
    cpuMicros: {
      server: perOperation(before.serverMicros, after.serverMicros),
      postgres: perOperation(before.postgresMicros, after.postgresMicros),
      client: clientCpuMicros / operations,
    },
    othersShare: Math.max(0, others) / (seconds * 1e6 * os.availableParallelism()),
    rssMb: after.rssMb,
    loopDelayMs: after.loopDelayMs,
  };
}

async function readUsage({ servers, postgres, secondPostgres, database }: MeasuredProcesses) {
  const ofFirst = database ? cpuOfBackends(postgres, database) : cpuOfProcessTree(postgres);
  const ofSecond = secondPostgres === undefined ? 0 : cpuOfProcessTree(secondPostgres);
  const postgresMicros = ofFirst === null || ofSecond === null ? null : ofFirst + ofSecond;
  const busyMicros = os.cpus().reduce((sum, { times }) => {
    const { user, nice, sys, irq } = times;
    return sum + (user + nice + sys + irq) * 1000;
  }, 0);
  const usages = await Promise.all(servers.map((server) => server.usage()));
  const isServerless = usages.length === 0;
  return {
    postgresMicros,
    busyMicros,
    serverMicros: isServerless ? null : usages.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    rssMb: isServerless ? null : Math.max(...usages.map(({ rssBytes }) => rssBytes)) / 2 ** 20,
    loopDelayMs: isServerless ? null : Math.max(...usages.map(({ loopDelayMs }) => loopDelayMs)),
  };
}

/** Linux counts CPU time in /proc in hundredths of a second. */
const TICK_MICROS = 10_000;

/** CPU time of a process and its children, also of children that ended; null without /proc. */
function cpuOfProcessTree(pid: number): number | null {
  if (process.platform !== 'linux') return null;
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? statOf(name) : null;
    if (!fields) continue;
    const [own, ofEndedChildren] = [sum(fields, 11, 13), sum(fields, 13, 15)];
    if (Number(name) === pid) ticks += own + ofEndedChildren;
    else if (Number(fields[1]) === pid) ticks += own;
  }
  return ticks * TICK_MICROS;
}

/** CPU time of PostgreSQL's backends for one database; null without /proc. */
function cpuOfBackends(postmaster: number, database: string): number | null {
  const backends = cpuByBackend(postmaster, database);
  return backends && [...backends.values()].reduce((sum, micros) => sum + micros, 0);
}

/**
 * CPU time of each of PostgreSQL's backends for one database, by its pid; null without /proc.
 * A backend's command line names its database: `postgres: cluster: user database …`.
 */
export function cpuByBackend(postmaster: number, database: string): Map<string, number> | null {
  if (process.platform !== 'linux') return null;
  const micros = new Map<string, number>();
  for (const pid of readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
    .trim()
    .split(' '))
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(` ${database} `)) continue;
      const [nanos] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
      micros.set(pid, Number(nanos) / 1_000);
    } catch {
      // It ended meanwhile.
    }
  return micros;
}

/** The fields of /proc/<pid>/stat after the program's name: state, ppid … utime, stime, cutime, cstime. */
function statOf(pid: string): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null; // it ended meanwhile
  }
}

const sum = (fields: readonly string[], from: number, to: number): number =>
  fields.slice(from, to).reduce((total, field) => total + Number(field), 0);
