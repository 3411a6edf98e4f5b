/**
 * Makes load and measures it: a closed loop of so many operations under way, or an open loop whose
 * operations begin at their time, whatever became of those before. The latency of an open loop
 * counts from the moment an operation was due, so a stall is seen by every call that waited in it.
 */
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import type { Load, LoadResult, Percentiles } from './load-spec.ts';

/** Told when an operation is over: what it counts for, or why it failed. */
export type Done = (operations: number, error?: Error | null) => void;

export type Source = {
  /** Begins an operation; false where there is none left. */
  readonly start: (done: Done) => boolean;
  readonly close: () => Promise<void> | void;
};

/** Operations under way of an open loop that is beyond what the server can do. */
const OUTSTANDING_MAX = 20_000;
const DRAIN_MS = 60_000;

export async function makeLoad(
  source: Source,
  load: Load,
  tell: (event: 'measuring' | 'measured') => void,
): Promise<LoadResult> {
  const meter = new Meter(load.operationsMax ?? Number.POSITIVE_INFINITY);
  const loop = load.perSecond
    ? openLoop(source, meter, load.perSecond)
    : closedLoop(source, meter, load.inFlight);
  await Promise.race([passed(load.warmUpMs), meter.over]);
  meter.begin();
  tell('measuring');
  await Promise.race([Promise.all([passed(load.durationMs), meter.first]), meter.over]);
  const result = meter.result(load.perSecond !== undefined);
  tell('measured');
  meter.end();
  await Promise.race([loop, passed(DRAIN_MS).then(() => Promise.reject(new Error('no answer')))]);
  if (meter.failure) throw meter.failure;
  return result;
}

class Meter {
  /** Settles when the load has ended. */
  readonly over: Promise<void>;
  /** Settles with the first operation that was measured. */
  first: Promise<void> = Promise.resolve();
  failure: Error | null = null;
  ended = false;
  readonly #latency = createHistogram();
  readonly #lag = createHistogram();
  readonly #operationsMax: number;
  #end: () => void = () => {};
  #sawFirst: () => void = () => {};
  #all = 0;
  #operations = 0;
  #begun = performance.now();
  #cpu = process.cpuUsage();

  constructor(operationsMax: number) {
    this.#operationsMax = operationsMax;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** From now on is measured. */
  begin() {
    this.first = new Promise((resolve) => {
      this.#sawFirst = resolve;
    });
    this.#operations = 0;
    this.#latency.reset();
    this.#lag.reset();
    this.#cpu = process.cpuUsage();
    this.#begun = performance.now();
  }

  end() {
    this.ended = true;
    this.#end();
  }

  late(ms: number) {
    record(this.#lag, ms);
  }

  /** An operation is over that was due at `due`. Every failure is one too many: it ends the load. */
  add(operations: number, due: number, error: Error | null | undefined) {
    if (error) {
      this.failure ??= error;
      this.end();
      return;
    }
    this.#operations += operations;
    this.#all += operations;
    record(this.#latency, performance.now() - due);
    this.#sawFirst();
    if (this.#all >= this.#operationsMax) this.end();
  }

  result(open: boolean): LoadResult {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      operations: this.#operations,
      seconds: (performance.now() - this.#begun) / 1000,
      latency: percentiles(this.#latency),
      lag: open ? percentiles(this.#lag) : null,
      clientCpuMicros: user + system,
    };
  }
}

/** Settles when every operation is over. */
function closedLoop(source: Source, meter: Meter, inFlight: number): Promise<void> {
  return new Promise((resolve) => {
    let running = inFlight;
    const next = () => {
      const due = performance.now();
      const begun =
        !meter.ended &&
        source.start((operations, error) => {
          meter.add(operations, due, error);
          next();
        });
      if (begun) return;
      meter.end();
      running -= 1;
      if (running === 0) resolve();
    };
    for (let index = 0; index < inFlight; index++) next();
  });
}

/** Settles when every operation is over. The moments are those of a Poisson process. */
function openLoop(source: Source, meter: Meter, perSecond: number): Promise<void> {
  return new Promise((resolve) => {
    let outstanding = 0;
    let due = performance.now();
    const finish = () => {
      if (meter.ended && outstanding === 0) resolve();
    };
    const begin = (at: number) => {
      outstanding += 1;
      meter.late(performance.now() - at);
      source.start((operations, error) => {
        outstanding -= 1;
        meter.add(operations, at, error);
        finish();
      });
    };
    const tick = () => {
      if (meter.ended) return finish();
      const now = performance.now();
      while (due <= now) {
        begin(due);
        due += (-Math.log(1 - Math.random()) * 1000) / perSecond;
      }
      if (outstanding > OUTSTANDING_MAX)
        meter.add(0, due, new Error(`${perSecond}/s is more than the server can do`));
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

const passed = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
