/**
 * Messages that the service holds although nothing works on them: requests that have not arrived as a whole, and
 * responses that their callers do not read. Neither counts as a call in flight, so their number and their bytes are
 * limited here. Beyond, those that have been held longest are given up.
 */

export type HeldLimits = {
  /** Of all calls together. */
  readonly bytesMax: number;
  readonly callsMax: number;
};

export class HeldMessages<Call extends object> {
  readonly #limits: HeldLimits;
  readonly #giveUp: (call: Call) => void;
  /** Bytes by call. Those that have been held longest come first. */
  readonly #calls = new Map<Call, number>();
  #bytes = 0;

  /** `giveUp` is told of a call that is not held any more. */
  constructor(limits: HeldLimits, giveUp: (call: Call) => void) {
    this.#limits = limits;
    this.#giveUp = giveUp;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** Holds so many bytes more of a call. */
  add(call: Call, bytes: number) {
    this.#calls.set(call, (this.#calls.get(call) ?? 0) + bytes);
    this.#bytes += bytes;
    const { bytesMax, callsMax } = this.#limits;
    for (const longest of this.#calls.keys()) {
      if (this.#bytes <= bytesMax && this.#calls.size <= callsMax) return;
      this.remove(longest);
      this.#giveUp(longest);
    }
  }

  /** Nothing of the call is held any more. */
  remove(call: Call) {
    const bytes = this.#calls.get(call);
    if (bytes === undefined) return;
    this.#calls.delete(call);
    this.#bytes -= bytes;
  }
}
