/**
 * Work on one thing, one run at a time. Whoever asks while it runs shares the next run with all others
 * who ask: the run under way may have looked before there was a reason to. So any number of webhooks
 * that are delivered again at once cost two runs.
 */
export class SharedWork<Result> {
  readonly #running = new Map<string, Promise<Result>>();
  readonly #next = new Map<string, Promise<Result>>();

  run(key: string, work: () => Promise<Result>): Promise<Result> {
    const running = this.#running.get(key);
    if (!running) return this.#start(key, work);
    const next = this.#next.get(key) ?? this.#after(running, key, work);
    this.#next.set(key, next);
    return next;
  }

  async #after(running: Promise<Result>, key: string, work: () => Promise<Result>) {
    await running.catch(() => {}); // told to those who asked for it
    this.#next.delete(key);
    return await this.#start(key, work);
  }

  #start(key: string, work: () => Promise<Result>): Promise<Result> {
    const running = work().finally(() => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    });
    this.#running.set(key, running);
    return running;
  }
}
