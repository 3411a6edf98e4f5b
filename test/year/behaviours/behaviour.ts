/** The behaviour of a customer: the requests at each time of day. */
import type { Random } from '../../cluster/random.ts';
import type { TimeOfDay } from '../time-of-day.ts';
import type { LoggedRequest, LoggedResponse } from '../usage-log.ts';

export type Behaviour = {
  /** The requests at this time, in order. */
  readonly requests: (time: TimeOfDay) => readonly LoggedRequest[];
  readonly onResponse: (request: LoggedRequest, response: LoggedResponse) => void;
};

/** True with this probability. */
export const chance = (random: Random, probability: number): boolean => random.next() < probability;

/** The latest charges and commits, which may be refunded. */
export class Refundable {
  readonly #entries: { readonly seq: bigint; remaining: bigint }[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add(seq: bigint, credits: bigint) {
    if (credits === 0n) return;
    this.#entries.push({ seq, remaining: credits });
    if (this.#entries.length > this.#max) this.#entries.shift();
  }

  /** A refund of one of them, in part or whole. */
  refund(random: Random): readonly LoggedRequest[] {
    const entry = this.#entries[random.integer(0, this.#entries.length - 1)];
    if (!entry) return [];
    const isPartial = entry.remaining > 1n && chance(random, 0.6);
    const credits = isPartial
      ? BigInt(random.integer(1, Number(entry.remaining) - 1))
      : entry.remaining;
    entry.remaining -= credits;
    if (entry.remaining === 0n) this.#entries.splice(this.#entries.indexOf(entry), 1);
    return [{ kind: 'refund', seq: entry.seq, ...(isPartial && { credits }) }];
  }
}
