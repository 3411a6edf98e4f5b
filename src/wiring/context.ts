/** What every part of the service is made with. */
import type { Logger } from 'pino';
import type { ReplicaClock } from '../clock/replica-clock.ts';
import type { Config } from '../config.ts';
import type { Em } from '../pg/orm.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { Instruments } from '../telemetry/instruments.ts';
import type { MetricExports } from '../telemetry/metric-exports.ts';
import type { Observers } from '../telemetry/observers.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { WorkMetrics } from '../telemetry/work-metrics.ts';

export type Context = {
  readonly config: Config;
  /** The root of all entity managers. */
  readonly rootEm: Em;
  /** A new entity manager, for one piece of work. */
  readonly em: () => Em;
  readonly clock: ReplicaClock;
  /** The host's clock, by which certificates and tokens are checked, in epoch milliseconds. */
  readonly host: () => number;
  /** In milliseconds; for rates. */
  readonly monotonic: () => number;
  readonly tracing: Tracing;
  readonly observers: Observers;
  readonly log: Logger;
  readonly catalogue: Catalogue;
  readonly metrics: Metrics;
  /** Null: the service is no sandbox. */
  readonly sandbox: Sandbox | null;
};

export type Metrics = {
  readonly exports: MetricExports;
  readonly instruments: Instruments;
  readonly work: WorkMetrics;
};

/** A part that finishes its work within `graceMs`, then stops. */
export type Stoppable = { stop(graceMs: number): Promise<unknown> };
