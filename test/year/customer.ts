/** A customer from the opening of the account on: habits, perhaps a move, and the end of a contract. */
import { Random } from '../cluster/random.ts';
import { beginOf, DAY_MS, monthAfter, monthOf } from './calendar.ts';
import type { Wish } from './caller.ts';
import { asposeCloud } from './habits/aspose-cloud.ts';
import { chance, type Habit } from './habits/habit.ts';
import { perfectparser } from './habits/perfectparser.ts';
import { verts } from './habits/verts.ts';
import type { UsagesOrCredits } from './log.ts';
import type { Moment } from './moment.ts';

const HABITS = { 'aspose-cloud': asposeCloud, perfectparser, verts };
export type PlanId = keyof typeof HABITS;

/** Calendar months of a postpaid contract: as many statements. */
export const CONTRACT_MONTHS = 12;

type Move = { readonly to: PlanId; readonly onDay: number };

export class Customer {
  readonly accountId: string;
  readonly #random: Random;
  readonly #opensOn: number;
  readonly #move: Move | null;
  #planId: PlanId;
  #habit: Habit | null = null;
  /** Day of the end of the contract; 0 where there is none. */
  #closesAt = 0;
  #closed = false;

  constructor(index: number, seed: number, planId: PlanId, daysOfYear: number) {
    this.#random = new Random(seed * 1_000_003 + index);
    this.accountId = `${planId}-${index}`;
    this.#planId = planId;
    // More at first: the year begins with a business that runs.
    this.#opensOn = Math.floor(this.#random.next() ** 2 * daysOfYear);
    this.#move = this.#moves(daysOfYear);
  }

  /** Whether the account will do nothing more that a statement waits for. */
  get settled(): boolean {
    return this.#habit !== null && (this.#closesAt === 0 || this.#closed);
  }

  wishes(moment: Moment): readonly Wish[] {
    return this.#asks(moment).map((asked) => ({
      accountId: this.accountId,
      asked,
      heard: (answer) => this.#habit?.heard(asked, answer),
    }));
  }

  #asks(moment: Moment): readonly UsagesOrCredits[] {
    const { day, name } = moment;
    if (this.#closed || day < this.#opensOn) return [];
    if (!this.#habit) {
      if (name !== 'morning') return [];
      this.#liveUnder(this.#planId, moment);
      return [{ kind: 'open', planId: this.#planId }];
    }
    if (name === 'morning' && day === this.#move?.onDay) {
      this.#liveUnder(this.#move.to, moment);
      return [{ kind: 'move', planId: this.#planId }];
    }
    const asked = this.#habit.asks(moment);
    if (this.#closesAt === 0 || moment.at < this.#closesAt || name !== 'afternoon') return asked;
    this.#closed = true;
    return [...asked, { kind: 'close' }];
  }

  #liveUnder(planId: PlanId, { at }: Moment) {
    this.#planId = planId;
    this.#habit = HABITS[planId](this.#random);
    if (planId !== 'aspose-cloud') return;
    const lastMonth = monthAfter(monthOf(at), CONTRACT_MONTHS - 1);
    this.#closesAt = beginOf(lastMonth) + this.#random.integer(23, 26) * DAY_MS;
  }

  /** A few outgrow their plan. */
  #moves(daysOfYear: number): Move | null {
    const onDay = this.#opensOn + this.#random.integer(5, 200);
    const to = this.#planId === 'perfectparser' ? 'aspose-cloud' : 'perfectparser';
    const moves = this.#planId !== 'aspose-cloud' && chance(this.#random, 0.04);
    return moves && onDay < daysOfYear ? { to, onDay } : null;
  }
}
