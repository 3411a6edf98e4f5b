/** Finds keys that a map has twice on the wire. */

/** From here on a set is faster than comparing each with each. */
const COMPARED_MAX = 24;

/** The keys of the maps of one message, as bounds of their bytes: most messages have few. */
export class KeysSeen {
  readonly #bytes: Uint8Array;
  /** The field number, start and stop of each. */
  readonly #seen: number[] = [];
  #texts: Set<string> | null = null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** False if the map of this number has the key already. */
  add(number: number, start: number, stop: number): boolean {
    if (this.#texts === null && this.#seen.length >= COMPARED_MAX * 3) this.#moveToSet();
    if (this.#texts !== null) {
      const { size } = this.#texts;
      return this.#texts.add(this.#text(number, start, stop)).size > size;
    }
    const seen = this.#seen;
    for (let at = 0; at < seen.length; at += 3)
      if (seen[at] === number && this.#areEqual(seen[at + 1]!, seen[at + 2]!, start, stop))
        return false;
    seen.push(number, start, stop);
    return true;
  }

  #areEqual(start: number, stop: number, otherStart: number, otherStop: number): boolean {
    if (stop - start !== otherStop - otherStart) return false;
    for (let at = start, other = otherStart; at < stop; at++, other++)
      if (this.#bytes[at] !== this.#bytes[other]) return false;
    return true;
  }

  #moveToSet() {
    this.#texts = new Set();
    for (let at = 0; at < this.#seen.length; at += 3)
      this.#texts.add(this.#text(this.#seen[at]!, this.#seen[at + 1]!, this.#seen[at + 2]!));
  }

  /** One character per byte. */
  #text(number: number, start: number, stop: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return `${number} ${Buffer.from(buffer, byteOffset + start, stop - start).toString('latin1')}`;
  }
}
