/** What every part of the service is made with. */
import type { Logger } from 'pino';
import type { ReplicaClock } from '../clock/replica-clock.ts';
import type { Config } from '../config.ts';
import type { StripeClient } from '../payments/stripe.ts';
import type { Em } from '../pg/orm.ts';
import type { PoolFigures } from '../pg/pool.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { Instruments } from '../telemetry/instruments.ts';
import type { MetricExports } from '../telemetry/metric-exports.ts';
import type { Observers } from '../telemetry/observers.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { WorkMetrics } from '../telemetry/work-metrics.ts';

/** What the parts of all cells share. */
export type Shared = {
  readonly config: Config;
  /** The host's clock, by which certificates and tokens are checked, in epoch milliseconds. */
  readonly host: () => number;
  /** In milliseconds; for rates. */
  readonly monotonic: () => number;
  readonly tracing: Tracing;
  readonly observers: Observers;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null: no payment provider is configured. */
  readonly stripe: StripeClient | null;
  /** Null: the service is no sandbox. */
  readonly sandbox: Sandbox | null;
};

/** The same, and what belongs to one cell. Its log names the cell. */
export type Context = Shared & {
  /** Null: there is one. */
  readonly cell: string | null;
  readonly pool: PoolFigures;
  /** The root of all entity managers. */
  readonly rootEm: Em;
  /** A new entity manager, for one piece of work. */
  readonly em: () => Em;
  readonly clock: ReplicaClock;
  readonly catalogue: Catalogue;
};

export type Metrics = {
  readonly exports: MetricExports;
  readonly instruments: Instruments;
  readonly work: WorkMetrics;
};

/** A part that finishes its work within `graceMs`, then stops. */
export type Stoppable = { stop(graceMs: number): Promise<unknown> };
