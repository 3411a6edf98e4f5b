/** What an account used in a month, by the log alone. */
import { addTo, type Category, type Part } from './lots.ts';

export type UsedFor = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
};

/** A charge or commit, to be refunded perhaps. */
export type Spent = {
  readonly month: string;
  /** In the order it was taken. */
  readonly parts: readonly Part[];
  readonly usedFor: readonly UsedFor[];
  refunded: bigint;
};

export class MonthOfUse {
  readonly counts = new Map<string, bigint>();
  readonly credits = new Map<string, bigint>();
  readonly refunded = new Map<string, bigint>();
  readonly byCategory = new Map<Category, bigint>();
  /** Overage of earlier months that was given back in this one. */
  readonly givenBack = new Map<string, bigint>();
  overage = 0n;

  spend({ parts, usedFor }: Spent) {
    for (const { operation, count, credits } of usedFor) {
      addTo(this.counts, operation, count);
      addTo(this.credits, operation, credits);
    }
    for (const part of parts) this.#take(part.lot.category, part.credits);
  }

  /** What of a spending of this month is given back: `parts` of it, from its last credits on. */
  takeOff({ usedFor, refunded }: Spent, parts: readonly Part[]) {
    let credits = 0n;
    for (const part of parts) {
      credits += part.credits;
      this.#take(part.lot.category, -part.credits);
    }
    // Laid end to end, its operations end at these credits; [from, to) of them is given back.
    const whole = usedFor.reduce((sum, used) => sum + used.credits, 0n);
    const to = whole - refunded;
    const from = to - credits;
    let begin = 0n;
    for (const { operation, credits: all } of usedFor) {
      const end = begin + all;
      const here = (end < to ? end : to) - (begin > from ? begin : from);
      if (here > 0n) {
        addTo(this.credits, operation, -here);
        addTo(this.refunded, operation, here);
      }
      begin = end;
    }
  }

  #take(category: Category | 'OVERAGE', credits: bigint) {
    if (category === 'OVERAGE') this.overage += credits;
    else addTo(this.byCategory, category, credits);
  }
}
