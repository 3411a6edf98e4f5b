/** Work that is done by a few at a time: the others wait, in their order. */
export class Turns {
  readonly #max: number;
  #working = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Does the work when it is its turn. Rejects as the work does. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#working < this.#max) this.#working += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The turn passes on: nobody who has just come takes it.
      if (next) next();
      else this.#working -= 1;
    }
  }
}
