/** Smaller differences of the clocks are corrections of the time. */
const SLEEP_MIN_MS = 500;

/**
 * A clock that never goes back, and goes on while the machine sleeps: `performance.now()` stands still meanwhile, and
 * a reservation does not. It may go faster than time does, where the time of the machine is set forward; then a
 * meter ends its reservations early.
 */
export class MeterClock {
  readonly #monotonic: () => number;
  readonly #wall: () => number;
  readonly #startedAt: number;
  #slept = 0;

  constructor(monotonic = () => performance.now(), wall = () => Date.now()) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#startedAt = wall() - monotonic();
  }

  /** Milliseconds. */
  now(): number {
    const monotonic = this.#monotonic();
    const ahead = this.#wall() - this.#startedAt - monotonic;
    if (ahead > this.#slept + SLEEP_MIN_MS) this.#slept = ahead;
    return monotonic + this.#slept;
  }
}
