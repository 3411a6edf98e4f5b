/** Answers in a second: a moving average, in which what is older counts exponentially less. */

/** Answers come in groups. A shorter time often holds none, or one group. */
const OBSERVED_MS = 50;
/** The age at which an observation counts 1/e. */
const AGE_MS = 500;

export class Throughput {
  #perSecond = 0;
  #count = 0;
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  count() {
    this.#count += 1;
  }

  /** Takes over what was counted since the last time. */
  observe(now: number) {
    const elapsedMs = now - this.#since;
    if (elapsedMs < OBSERVED_MS) return;
    const weight = 1 - Math.exp(-elapsedMs / AGE_MS);
    this.#perSecond += ((this.#count / elapsedMs) * 1_000 - this.#perSecond) * weight;
    this.#count = 0;
    this.#since = now;
  }
}
