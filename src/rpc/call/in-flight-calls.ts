/** Counts the calls under way, so that a stopping server knows when it has answered the last one. */
export class InFlight {
  #calls = 0;
  #wake: (() => void) | null = null;

  enter() {
    this.#calls += 1;
  }

  leave() {
    this.#calls -= 1;
    if (this.#calls === 0) this.#wake?.();
  }

  /** Resolves once no call is under way. */
  async none(): Promise<void> {
    while (this.#calls > 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}
