/** What an account used in a month, as the usage log implies it. */
import { addTo, type Category, type Draw } from './expected-grant.ts';

export type OperationUse = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
};

/** A charge or commit, which may be refunded. */
export type Spending = {
  readonly month: string;
  /** In burn order. */
  readonly draws: readonly Draw[];
  readonly uses: readonly OperationUse[];
  refunded: bigint;
};

export class ExpectedMonth {
  readonly counts = new Map<string, bigint>();
  readonly credits = new Map<string, bigint>();
  readonly refunded = new Map<string, bigint>();
  readonly byCategory = new Map<Category, bigint>();
  /** Overage of earlier months that was refunded in this one, by that month. */
  readonly refundedEarlier = new Map<string, bigint>();
  overage = 0n;

  addSpending({ draws, uses }: Spending) {
    for (const { operation, count, credits } of uses) {
      addTo(this.counts, operation, count);
      addTo(this.credits, operation, credits);
    }
    for (const draw of draws) this.#count(draw.grant.category, draw.credits);
  }

  /** Refunds these draws of a spending of this month, from its last credits backwards. */
  addRefund({ uses, refunded }: Spending, draws: readonly Draw[]) {
    let credits = 0n;
    for (const draw of draws) {
      credits += draw.credits;
      this.#count(draw.grant.category, -draw.credits);
    }
    // The operations are consecutive intervals of the spending's credits; [from, to) is refunded.
    const whole = uses.reduce((sum, used) => sum + used.credits, 0n);
    const to = whole - refunded;
    const from = to - credits;
    let begin = 0n;
    for (const { operation, credits: all } of uses) {
      const end = begin + all;
      const here = (end < to ? end : to) - (begin > from ? begin : from);
      if (here > 0n) {
        addTo(this.credits, operation, -here);
        addTo(this.refunded, operation, here);
      }
      begin = end;
    }
  }

  #count(category: Category | 'OVERAGE', credits: bigint) {
    if (category === 'OVERAGE') this.overage += credits;
    else addTo(this.byCategory, category, credits);
  }
}
