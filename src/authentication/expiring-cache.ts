/** A bounded cache of values that hold for a time. The least recently used makes room. */
export class ExpiringCache<Value> {
  readonly #max: number;
  /** The least recently used first. */
  readonly #entries = new Map<string, { readonly value: Value; readonly until: number }>();

  constructor(max: number) {
    this.#max = max;
  }

  /** `now` and `until` are milliseconds of one clock. */
  get(key: string, now: number): Value | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: Value, until: number) {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max) return;
      this.#entries.delete(oldest);
    }
  }
}
