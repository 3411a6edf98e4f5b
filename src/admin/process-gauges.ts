/** The gauges of this process. */
import type { PoolFigures } from '../pg/pool.ts';
import { telemetryFailures } from '../telemetry/diagnostics.ts';
import type { Instruments } from '../telemetry/instruments.ts';
import { EventLoop } from './event-loop.ts';

export type ProcessFigures = {
  /** The pools of database connections: one for each cell. */
  readonly pools: () => readonly PoolFigures[];
  /** Of each of them. */
  readonly poolMax: number;
  /** Tasks in the queues of all lanes. */
  readonly queued: () => number;
  /** How far the host's clock is ahead of the database's, in milliseconds. */
  readonly clockOffsetMs: () => number;
  /** A monotonic time in milliseconds. */
  readonly monotonic: () => number;
};

/** Returns what ends the measuring. */
export function observeProcess(instruments: Instruments, figures: ProcessFigures): () => void {
  const { pools, poolMax, queued, clockOffsetMs } = figures;
  const sum = (count: (pool: PoolFigures) => number) =>
    pools().reduce((total, pool) => total + count(pool), 0);
  const eventLoop = new EventLoop(figures.monotonic);
  instruments['db.client.connection.count'].observe((report) => {
    report(
      sum(({ idleCount }) => idleCount),
      { 'db.client.connection.state': 'idle' },
    );
    report(
      sum(({ totalCount, idleCount }) => totalCount - idleCount),
      { 'db.client.connection.state': 'used' },
    );
  });
  instruments['db.client.connection.max'].observe((report) =>
    report(
      sum(() => poolMax),
      {},
    ),
  );
  instruments['db.client.connection.pending_requests'].observe((report) =>
    report(
      sum(({ waitingCount }) => waitingCount),
      {},
    ),
  );
  instruments['scrip.lane.queue'].observe((report) => report(queued(), {}));
  instruments['scrip.clock.offset'].observe((report) => report(clockOffsetMs() / 1_000, {}));
  instruments['nodejs.eventloop.utilization'].observe((report) =>
    report(eventLoop.read().utilization, {}),
  );
  instruments['nodejs.eventloop.delay.p99'].observe((report) =>
    report(eventLoop.read().delayP99Seconds, {}),
  );
  instruments['scrip.telemetry.dropped'].observe((report) => {
    report(telemetryFailures.droppedSpans, { 'scrip.telemetry.item': 'spans' });
    report(telemetryFailures.errors, { 'scrip.telemetry.item': 'exports' });
  });
  return () => eventLoop.stop();
}
