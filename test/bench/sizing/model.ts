/** How many replicas, cells and disks a rate of jobs needs, computed from what a job costs. Pure. */

/** What a job costs: a reservation and its commit. */
export type JobCost = {
  /** CPU of the service, µs. */
  readonly serviceMicros: number;
  /** CPU of PostgreSQL, µs. */
  readonly postgresMicros: number;
  /** WAL with the images of pages after a checkpoint. */
  readonly walBytes: number;
  /** What stays in tables and indexes. */
  readonly storedBytes: number;
};

/** What the model assumes beyond the measurements. */
export const ASSUMED = {
  /** Share of a core, or of a server, that is used in the long run: the rest is for peaks and failures. */
  utilization: 0.5,
  /** A replica's JavaScript runs on one core. */
  coresOfReplica: 1,
  /** Cores of the server of a cell. */
  coresOfCell: 16,
  /** Disk of a cell. */
  diskBytesOfCell: 16e12,
  /** WAL that the disk of a cell writes in the long run. */
  walBytesPerSecond: 100e6,
  /**
   * CPU of the service and of PostgreSQL where replicas share accounts, so that few are found in a replica's cache: the
   * reverse of what the cache saves (docs/performance.md, Settings).
   */
  sharedService: 1.13,
  sharedPostgres: 1.27,
  /** One replica more than the load needs: one can be lost, or replaced. */
  spareReplicas: 1,
} as const;

export type Size = {
  readonly jobsPerSecond: number;
  readonly replicas: number;
  readonly cells: number;
  /** Of all cells, busy. */
  readonly postgresCores: number;
  readonly walMegabytesPerSecond: number;
  readonly gigabytesPerDay: number;
  readonly terabytesPerYear: number;
  /** Until the disks of these cells are full. */
  readonly daysOfDisk: number;
};

/** Jobs per second that one core of a replica, one core of PostgreSQL and one cell take in the long run. */
export function capacity({ serviceMicros, postgresMicros, walBytes }: JobCost) {
  const { utilization, coresOfReplica, coresOfCell, sharedService, sharedPostgres } = ASSUMED;
  const perSecond = (micros: number) => (1e6 / micros) * utilization;
  const perPostgresCore = perSecond(postgresMicros * sharedPostgres);
  const byCpu = perPostgresCore * coresOfCell;
  const byWal = (ASSUMED.walBytesPerSecond / walBytes) * utilization;
  return {
    perReplica: perSecond(serviceMicros * sharedService) * coresOfReplica,
    perPostgresCore,
    perCell: Math.min(byCpu, byWal),
    limit: byCpu <= byWal ? ('CPU' as const) : ('WAL' as const),
  };
}

export function sizeFor(jobsPerSecond: number, cost: JobCost): Size {
  const { perReplica, perCell } = capacity(cost);
  const cells = Math.ceil(jobsPerSecond / perCell);
  const bytesPerDay = jobsPerSecond * cost.storedBytes * 86_400;
  return {
    jobsPerSecond,
    replicas: Math.max(2, Math.ceil(jobsPerSecond / perReplica) + ASSUMED.spareReplicas),
    cells,
    postgresCores: (jobsPerSecond * cost.postgresMicros * ASSUMED.sharedPostgres) / 1e6,
    walMegabytesPerSecond: (jobsPerSecond * cost.walBytes) / 1e6,
    gigabytesPerDay: bytesPerDay / 1e9,
    terabytesPerYear: (bytesPerDay * 365) / 1e12,
    daysOfDisk: (cells * ASSUMED.diskBytesOfCell) / bytesPerDay,
  };
}
