/** Counts the calls being served, so that a stopping server knows when it has answered the last one. */
export class InFlightCalls {
  #count = 0;
  #onDrained: (() => void) | null = null;

  get count(): number {
    return this.#count;
  }

  started() {
    this.#count += 1;
  }

  ended() {
    this.#count -= 1;
    if (this.#count === 0) this.#onDrained?.();
  }

  /** Resolves when no call is being served. */
  async drained(): Promise<void> {
    while (this.#count > 0)
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
  }
}
