/** Counts by key. A key that has come to 0 takes no memory. */
export class Counts {
  readonly #counts = new Map<string, number>();

  /** Keys with a count above 0. */
  get size(): number {
    return this.#counts.size;
  }

  get(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string) {
    this.#counts.set(key, this.get(key) + 1);
  }

  remove(key: string) {
    const count = this.get(key) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}
