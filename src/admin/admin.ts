/** Starts the admin port, and the gauges that metrics are read from. */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Em } from '../pg/orm.ts';
import type { Instruments } from '../telemetry/instruments.ts';
import type { MetricExports } from '../telemetry/metric-exports.ts';
import { type PageServer, startAdminServer } from './admin-server.ts';
import { LedgerGauges } from './ledger-gauges.ts';
import { observeProcess, type ProcessFigures } from './process-gauges.ts';

export type AdminOptions = {
  readonly exports: MetricExports;
  readonly instruments: Instruments;
  readonly host: string;
  /** 0 chooses a free one; null: there is none. */
  readonly port: number | null;
  readonly gaugesIntervalMs: number;
  readonly em: () => Em;
  readonly clock: Clock;
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
  /** Reads the gauges of the ledger now, without waiting for the interval. */
  readGauges(): Promise<void>;
  stop(): Promise<void>;
};

/** How long a query of the gauges may take to end. PostgreSQL gives it 2 s. */
const STOP_MS = 2_500;

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { exports, host, port, isReady, console, log } = options;
  const gauges = exports.isOn ? startGauges(options) : null;
  const metrics = exports.prometheus;
  const read = metrics && (() => metrics.read());
  const stopGauges = async () => void (await gauges?.stop());
  const server =
    port === null
      ? null
      : await startAdminServer({ host, port, metrics: read, isReady, console, log }).catch(
          async (error: unknown) => {
            await stopGauges();
            throw error;
          },
        );
  return {
    port: server ? server.port : null,
    readGauges: async () => void (await gauges?.read()),
    async stop() {
      await stopGauges();
      await server?.stop();
    },
  };
}

function startGauges({ instruments, em, clock, process, gaugesIntervalMs, log }: AdminOptions) {
  const stopProcess = observeProcess(instruments, process);
  const { monotonic } = process;
  const intervalMs = gaugesIntervalMs;
  const ledger = new LedgerGauges({ em, clock, monotonic, log, intervalMs, instruments });
  return {
    read: () => ledger.read(),
    async stop() {
      stopProcess();
      await ledger.stop(STOP_MS);
    },
  };
}
