/** Starts the admin port, and the gauges of the process. */
import type { Logger } from 'pino';
import type { Instruments } from '../telemetry/instruments.ts';
import type { MetricExports } from '../telemetry/metric-exports.ts';
import { type PageServer, startAdminServer } from './admin-server.ts';
import { observeProcess, type ProcessFigures } from './process-gauges.ts';

export type AdminOptions = {
  readonly exports: MetricExports;
  readonly instruments: Instruments;
  readonly host: string;
  /** 0 chooses a free one; null: there is none. */
  readonly port: number | null;
  readonly process: ProcessFigures;
  /** Whether the health service reports SERVING. */
  readonly isReady: () => boolean;
  /** The web console; null: there is none. */
  readonly console: PageServer | null;
  readonly log: Logger;
};

export type Admin = {
  /** Null: there is none. */
  readonly port: number | null;
  stop(): Promise<void>;
};

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { exports, instruments, host, port, isReady, console, log } = options;
  const stopGauges = exports.isOn ? observeProcess(instruments, options.process) : () => {};
  const metrics = exports.prometheus;
  const read = metrics && (() => metrics.read());
  const server =
    port === null
      ? null
      : await startAdminServer({ host, port, metrics: read, isReady, console, log }).catch(
          (error: unknown) => {
            stopGauges();
            throw error;
          },
        );
  return {
    port: server ? server.port : null,
    async stop() {
      stopGauges();
      await server?.stop();
    },
  };
}
