/** A customer from the opening of the account to the end of the contract, perhaps with a plan change. */
import { Random } from '../cluster/random.ts';
import { asposeCloud } from './behaviours/aspose-cloud.ts';
import { type Behaviour, chance } from './behaviours/behaviour.ts';
import { perfectparser } from './behaviours/perfectparser.ts';
import { verts } from './behaviours/verts.ts';
import { beginOf, DAY_MS, monthAfter, monthOf } from './calendar.ts';
import type { CustomerRequest } from './caller.ts';
import type { TimeOfDay } from './time-of-day.ts';
import type { LoggedRequest } from './usage-log.ts';

const BEHAVIOURS = { 'aspose-cloud': asposeCloud, perfectparser, verts };
export type PlanId = keyof typeof BEHAVIOURS;

/** Calendar months of a postpaid contract, each with a statement. */
export const CONTRACT_MONTHS = 12;

type Move = { readonly to: PlanId; readonly onDay: number };

export class Customer {
  readonly accountId: string;
  readonly #random: Random;
  readonly #opensOn: number;
  readonly #isImported: boolean;
  readonly #move: Move | null;
  #planId: PlanId;
  #behaviour: Behaviour | null = null;
  /** Start of the contract's last day; 0 without a contract. */
  #closesAt = 0;
  #closed = false;

  /** `isImported`: the account is there from the first day on. */
  constructor(index: number, seed: number, planId: PlanId, daysOfYear: number, isImported = false) {
    this.#random = new Random(seed * 1_000_003 + index);
    this.accountId = `${planId}-${index}`;
    this.#planId = planId;
    // More accounts open early in the year than late.
    const opensOn = Math.floor(this.#random.next() ** 2 * daysOfYear);
    this.#isImported = isImported;
    this.#opensOn = isImported ? 0 : opensOn;
    this.#move = this.#chooseMove(daysOfYear);
  }

  get planId(): PlanId {
    return this.#planId;
  }

  /** Whether no further statement is to come. */
  get isSettled(): boolean {
    return this.#behaviour !== null && (this.#closesAt === 0 || this.#closed);
  }

  /** The customer's requests at this time, in order. */
  requests(time: TimeOfDay): readonly CustomerRequest[] {
    return this.#nextRequests(time).map((request) => ({
      accountId: this.accountId,
      request,
      onResponse: (response) => this.#behaviour?.onResponse(request, response),
    }));
  }

  #nextRequests(time: TimeOfDay): readonly LoggedRequest[] {
    const { day, name } = time;
    if (this.#closed || day < this.#opensOn) return [];
    if (!this.#behaviour) {
      if (name !== 'morning') return [];
      this.#startPlan(this.#planId, time);
      return this.#isImported ? [] : [{ kind: 'open', planId: this.#planId }];
    }
    if (name === 'morning' && day === this.#move?.onDay) {
      this.#startPlan(this.#move.to, time);
      return [{ kind: 'move', planId: this.#planId }];
    }
    const requests = this.#behaviour.requests(time);
    if (this.#closesAt === 0 || time.at < this.#closesAt || name !== 'afternoon') return requests;
    this.#closed = true;
    return [...requests, { kind: 'close' }];
  }

  #startPlan(planId: PlanId, { at }: TimeOfDay) {
    this.#planId = planId;
    this.#behaviour = BEHAVIOURS[planId](this.#random);
    if (planId !== 'aspose-cloud') return;
    const lastMonth = monthAfter(monthOf(at), CONTRACT_MONTHS - 1);
    this.#closesAt = beginOf(lastMonth) + this.#random.integer(23, 26) * DAY_MS;
  }

  /** A few customers change their plan. */
  #chooseMove(daysOfYear: number): Move | null {
    const onDay = this.#opensOn + this.#random.integer(5, 200);
    const to = this.#planId === 'perfectparser' ? 'aspose-cloud' : 'perfectparser';
    const isMoving = this.#planId !== 'aspose-cloud' && chance(this.#random, 0.04);
    return isMoving && onDay < daysOfYear ? { to, onDay } : null;
  }
}
