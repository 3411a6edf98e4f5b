/** How busy and how late the event loop is, over the last seconds. */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Several readers in a short time see the same figures: each window is long enough to say something. */
const WINDOW_MS = 5_000;
/** The delay is sampled by a timer: a shorter interval would cost more. */
const RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;

export type EventLoopFigures = {
  /** 0 to 1. */
  readonly utilization: number;
  readonly delayP99Seconds: number;
};

export class EventLoop {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #monotonic: () => number;
  #begin: EventLoopUtilization = performance.eventLoopUtilization();
  #beganAt: number;
  #figures: EventLoopFigures | null = null;

  /** `monotonic` is a monotonic time in milliseconds. */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#beganAt = monotonic();
    this.#delays.enable();
  }

  /** Those of the window that has ended, or else of the one so far. */
  read(): EventLoopFigures {
    const now = this.#monotonic();
    if (now - this.#beganAt < WINDOW_MS && this.#figures) return this.#figures;
    const { utilization } = performance.eventLoopUtilization(this.#begin);
    const sampledMs = this.#delays.count > 0 ? this.#delays.percentile(99) : 0;
    // What the timer measures is its own interval, too.
    const delay = Math.max(0, sampledMs / NANOSECONDS - RESOLUTION_MS / 1_000);
    this.#figures = { utilization, delayP99Seconds: delay };
    this.#begin = performance.eventLoopUtilization();
    this.#beganAt = now;
    this.#delays.reset();
    return this.#figures;
  }

  stop() {
    this.#delays.disable();
  }
}
