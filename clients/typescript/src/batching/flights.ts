/** Calls in flight. While there is one, mutations wait to share the next. */
export class Flights {
  readonly #slowMs: number;
  /** Called when mutations need not wait any more. */
  readonly #onFree: () => void;
  #count = 0;

  constructor(slowMs: number, onFree: () => void) {
    this.#slowMs = slowMs;
    this.#onFree = onFree;
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /**
   * Begins a call. The function that it returns ends it; so does time, because a call that is slow may have been
   * lost on its way, and others must not be lost with it.
   */
  begin(): () => void {
    this.#count += 1;
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#count -= 1;
      if (this.#count === 0) this.#onFree();
    };
    const timer = setTimeout(end, this.#slowMs);
    timer.unref();
    return end;
  }
}
