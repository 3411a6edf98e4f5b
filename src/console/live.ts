/** Reads the metrics when somebody looks at them, and compares them with those of some seconds ago. */
import type { MetricData } from '@opentelemetry/sdk-metrics';
import { type LiveFigures, liveFigures, type Reading } from './live-figures.ts';

/** However many look, the metrics are read once in this time. */
const FRESH_MS = 1_000;
/** What rates are of, at least, once somebody has looked for so long. */
const WINDOW_MS = 10_000;
/** Nobody has looked for that long: older readings say nothing of now. */
const FORGOTTEN_MS = 60_000;

export type LiveOptions = {
  readonly read: () => Promise<readonly MetricData[]>;
  /** A monotonic time in milliseconds. */
  readonly monotonic: () => number;
};

export class Live {
  readonly #options: LiveOptions;
  /** Oldest first. */
  #readings: readonly Reading[] = [];
  #pending: Promise<LiveFigures> | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  figures(): Promise<LiveFigures> {
    this.#pending ??= this.#figures().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #figures(): Promise<LiveFigures> {
    const { read, monotonic } = this.#options;
    const newest = this.#readings.at(-1);
    if (!newest || monotonic() - newest.at >= FRESH_MS) {
      const metrics = await read();
      this.#keep({ at: monotonic(), metrics });
    }
    const [oldest, ...others] = this.#readings;
    const last = others.at(-1) ?? null;
    return liveFigures(last ?? (oldest as Reading), last ? (oldest as Reading) : null);
  }

  /** Keeps the newest reading that is at least WINDOW_MS old, and those after it. */
  #keep(reading: Reading) {
    const recent = this.#readings.filter(({ at }) => reading.at - at < FORGOTTEN_MS);
    const begin = recent.findLastIndex(({ at }) => reading.at - at >= WINDOW_MS);
    this.#readings = [...recent.slice(Math.max(0, begin)), reading];
  }
}
