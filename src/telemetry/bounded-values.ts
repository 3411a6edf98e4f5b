/** Keeps the number of values of an attribute bounded, where operators decide how many there are. */
import { OTHER } from './metrics.ts';

export class BoundedValues {
  readonly #known = new Set<string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** The value, if it is one of the first; `_OTHER` otherwise. */
  of(value: string): string {
    if (this.#known.has(value) || value === '') return value;
    if (this.#known.size >= this.#max) return OTHER;
    this.#known.add(value);
    return value;
  }
}
