/** What must not be done at once is done in turns, in the order it came. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Does it when everything that came before has been done, or has failed. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}
