/**
 * Long work in slices: between two of them the event loop serves other calls. Asking is cheap, so that work
 * asks after each step:
 *
 *     if (slice.isOver) await slice.next();
 */
const SLICE_MS = 10;

export class TimeSlice {
  #startedAt = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#startedAt > SLICE_MS;
  }

  /** Resolves at the beginning of the next slice. */
  async next(): Promise<void> {
    await new Promise(setImmediate);
    this.#startedAt = performance.now();
  }
}
