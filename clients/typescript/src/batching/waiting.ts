/** The mutations that wait to be sent, in the order in which they were made. */
import { add, BATCH_MAX, fits, MUTATIONS_MAX, NOTHING, type Weight } from './weight.ts';

export class Waiting<Item extends { readonly weight: Weight }> {
  /** A set keeps its order, and any of its items can leave it at once. */
  readonly #items = new Set<Item>();

  get size(): number {
    return this.#items.size;
  }

  add(item: Item) {
    this.#items.add(item);
  }

  /** False if it was not waiting. */
  remove(item: Item): boolean {
    return this.#items.delete(item);
  }

  /** Takes the first items that fit in one Batch: at least one, if any waits. */
  take(): readonly Item[] {
    const taken: Item[] = [];
    let sum = NOTHING;
    for (const item of this.#items) {
      sum = add(sum, item.weight);
      if (taken.length === MUTATIONS_MAX) break;
      if (taken.length > 0 && !fits(sum, BATCH_MAX)) break;
      taken.push(item);
      this.#items.delete(item);
    }
    return taken;
  }
}
