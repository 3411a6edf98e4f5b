/**
 * The plans an account lived under, one after the other, as its entries tell them: whatever is reserved
 * or charged is priced by the plan of its time, and each move begins where the one before it ended.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';

export class PlanCourse {
  /** Null before an entry names it: the plan an account was opened under stands on no entry. */
  #plan: string | null = null;

  take(entry: Entry, tell: (what: string) => void) {
    const { kind, planId, previousPlanId } = entry;
    if (kind !== 'PLAN_CHANGE') return this.#takePriced(entry, tell);
    if (previousPlanId === planId) tell(`moves the account from plan ${planId} to itself`);
    if (this.#plan !== null && previousPlanId !== this.#plan)
      tell(`moves the account from plan ${previousPlanId}, it lived under ${this.#plan}`);
    this.#plan = planId;
  }

  /** After the last entry: the account's row. */
  close({ planId }: Account, tell: (what: string) => void) {
    if (this.#plan !== null && this.#plan !== planId)
      tell(`plan_id is ${planId}, the entries say ${this.#plan}`);
  }

  #takePriced({ kind, planId, rateCardVersion }: Entry, tell: (what: string) => void) {
    if (planId !== null && rateCardVersion === null)
      tell(`names plan ${planId} and no version of its rate card`);
    // What ends or refunds something is of the plan that it was begun under: it is held against that.
    if (kind !== 'RESERVE' && kind !== 'CHARGE') return;
    if (planId === null) {
      // Entries of before accounts could move name no plan; none of them follows one that does.
      if (this.#plan !== null) tell(`names no plan, the account lived under ${this.#plan}`);
      return;
    }
    if (this.#plan !== null && this.#plan !== planId)
      tell(`is priced by plan ${planId}, the account lived under ${this.#plan}`);
    this.#plan = planId;
  }
}
