/**
 * Runs a load and measures it. A closed loop keeps a fixed number of operations in flight. An open loop
 * starts operations at their scheduled times, however long earlier ones take; their latency counts from
 * the scheduled time, so that a stall shows in every operation that it delays.
 */
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, LoadResult, Percentiles } from './load-spec.ts';

/** Called when an operation ends: how many operations it counts for, or why it failed. */
export type Done = (operations: number, error?: Error | null) => void;

export type Source = {
  /** Starts an operation; false if there is none left. */
  readonly start: (done: Done) => boolean;
  readonly close: () => Promise<void> | void;
};

/** Operations in flight at which an open loop gives up: its rate is beyond the server's. */
const IN_FLIGHT_MAX = 20_000;
/** How long an operation may take. */
const PATIENCE_MS = 60_000;
/** The longest delay of a timer; a longer one fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Rejects with the first failure of an operation. */
export async function runLoad(
  source: Source,
  load: Load,
  emit: (event: 'measuring' | 'measured') => void,
): Promise<LoadResult> {
  const meter = new Meter(load.operationsMax ?? Number.POSITIVE_INFINITY);
  const loop = load.perSecond
    ? openLoop(source, meter, load.perSecond)
    : closedLoop(source, meter, load.inFlight);
  await Promise.race([sleep(load.warmUpMs), meter.ended]);
  meter.begin();
  emit('measuring');
  // An operation that takes longer than the measurement is measured, too.
  await Promise.race([
    Promise.all([sleep(load.durationMs), meter.first]),
    meter.ended,
    sleep(Math.min(load.durationMs + PATIENCE_MS, TIMER_MAX_MS)),
  ]);
  const result = meter.result(load.perSecond !== undefined);
  emit('measured');
  meter.end();
  await Promise.race([
    loop,
    sleep(PATIENCE_MS).then(() => Promise.reject(new Error('no response'))),
  ]);
  if (meter.failure) throw meter.failure;
  return { ...result, completed: meter.total };
}

class Meter {
  /** Resolves when the load ends. */
  readonly ended: Promise<void>;
  /** Resolves with the first operation of the measurement. */
  first: Promise<void> = Promise.resolve();
  failure: Error | null = null;
  isEnded = false;
  readonly #latency = createHistogram();
  readonly #lag = createHistogram();
  readonly #operationsMax: number;
  #resolveEnded: () => void = () => {};
  #resolveFirst: () => void = () => {};
  /** Operations since the start. */
  total = 0;
  /** Operations since `begin`. */
  #operations = 0;
  #beganAt = performance.now();
  #cpu = process.cpuUsage();

  constructor(operationsMax: number) {
    this.#operationsMax = operationsMax;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Begins the measurement. */
  begin() {
    this.first = new Promise((resolve) => {
      this.#resolveFirst = resolve;
    });
    this.#operations = 0;
    this.#latency.reset();
    this.#lag.reset();
    this.#cpu = process.cpuUsage();
    this.#beganAt = performance.now();
  }

  end() {
    this.isEnded = true;
    this.#resolveEnded();
  }

  /** How late an open loop started an operation. */
  addLag(ms: number) {
    record(this.#lag, ms);
  }

  /** Counts an operation that was scheduled at `scheduledAt`. A failure ends the load. */
  add(operations: number, scheduledAt: number, error: Error | null | undefined) {
    if (error) {
      this.failure ??= error;
      this.end();
      return;
    }
    this.#operations += operations;
    this.total += operations;
    record(this.#latency, performance.now() - scheduledAt);
    this.#resolveFirst();
    if (this.total >= this.#operationsMax) this.end();
  }

  result(isOpenLoop: boolean): Omit<LoadResult, 'completed'> {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      operations: this.#operations,
      seconds: (performance.now() - this.#beganAt) / 1000,
      latency: percentiles(this.#latency),
      lag: isOpenLoop ? percentiles(this.#lag) : null,
      clientCpuMicros: user + system,
    };
  }
}

/** Resolves when every operation has ended. */
function closedLoop(source: Source, meter: Meter, inFlight: number): Promise<void> {
  return new Promise((resolve) => {
    let running = inFlight;
    const startNext = () => {
      const startedAt = performance.now();
      const started =
        !meter.isEnded &&
        source.start((operations, error) => {
          meter.add(operations, startedAt, error);
          startNext();
        });
      if (started) return;
      meter.end();
      running -= 1;
      if (running === 0) resolve();
    };
    for (let index = 0; index < inFlight; index++) startNext();
  });
}

/** Resolves when every operation has ended. The scheduled times are those of a Poisson process. */
function openLoop(source: Source, meter: Meter, perSecond: number): Promise<void> {
  return new Promise((resolve) => {
    let inFlight = 0;
    let scheduledAt = performance.now();
    const resolveIfDone = () => {
      if (meter.isEnded && inFlight === 0) resolve();
    };
    const start = (at: number) => {
      inFlight += 1;
      meter.addLag(performance.now() - at);
      source.start((operations, error) => {
        inFlight -= 1;
        meter.add(operations, at, error);
        resolveIfDone();
      });
    };
    const tick = () => {
      if (meter.isEnded) return resolveIfDone();
      const now = performance.now();
      while (scheduledAt <= now) {
        start(scheduledAt);
        scheduledAt += (-Math.log(1 - Math.random()) * 1000) / perSecond;
      }
      if (inFlight > IN_FLIGHT_MAX)
        meter.add(0, scheduledAt, new Error(`the server is slower than ${perSecond}/s`));
      setTimeout(tick, 1);
    };
    tick();
  });
}

const record = (histogram: RecordableHistogram, ms: number) =>
  histogram.record(Math.max(1, Math.round(ms * 1000)));

function percentiles(histogram: RecordableHistogram): Percentiles {
  const at = (percentile: number) =>
    histogram.count ? histogram.percentile(percentile) / 1000 : 0;
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
}
