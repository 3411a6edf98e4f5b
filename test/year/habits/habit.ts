/** What the customer of a plan does, from moment to moment. */
import type { Random } from '../../cluster/random.ts';
import type { Answer, UsagesOrCredits } from '../log.ts';
import type { Moment } from '../moment.ts';

export type Habit = {
  /** What is asked for now, in this order. */
  readonly asks: (moment: Moment) => readonly UsagesOrCredits[];
  readonly heard: (asked: UsagesOrCredits, answer: Answer) => void;
};

/** Something that happens with a probability. */
export const chance = (random: Random, probability: number): boolean => random.next() < probability;

/** Charges and commits that may be refunded one day: the last few. */
export class Refundable {
  readonly #entries: { readonly seq: bigint; left: bigint }[] = [];
  readonly #keep: number;

  constructor(keep: number) {
    this.#keep = keep;
  }

  add(seq: bigint, credits: bigint) {
    if (credits === 0n) return;
    this.#entries.push({ seq, left: credits });
    if (this.#entries.length > this.#keep) this.#entries.shift();
  }

  /** A refund of one of them, of part or of all that is left of it. */
  ask(random: Random): readonly UsagesOrCredits[] {
    const entry = this.#entries[random.integer(0, this.#entries.length - 1)];
    if (!entry) return [];
    const part = entry.left > 1n && chance(random, 0.6);
    const credits = part ? BigInt(random.integer(1, Number(entry.left) - 1)) : entry.left;
    entry.left -= credits;
    if (entry.left === 0n) this.#entries.splice(this.#entries.indexOf(entry), 1);
    return [{ kind: 'refund', seq: entry.seq, ...(part && { credits }) }];
  }
}
