/**
 * The plans an account lived under, one after the other, as its entries report them: whatever is reserved
 * or charged is priced by the plan of its time, and each move begins where the one before it ended.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';

export class PlanHistory {
  /** Null before an entry names it: the plan an account was opened under stands on no entry. */
  #plan: string | null = null;

  take(entry: Entry, report: (what: string) => void) {
    const { kind, planId, previousPlanId } = entry;
    if (kind !== 'PLAN_CHANGE') return this.#takePriced(entry, report);
    if (previousPlanId === planId) report(`moves the account from plan ${planId} to itself`);
    if (this.#plan !== null && previousPlanId !== this.#plan)
      report(`moves the account from plan ${previousPlanId}, it lived under ${this.#plan}`);
    this.#plan = planId;
  }

  /** After the last entry: the account's row. */
  close({ planId }: Account, report: (what: string) => void) {
    if (this.#plan !== null && this.#plan !== planId)
      report(`plan_id is ${planId}, the entries say ${this.#plan}`);
  }

  #takePriced({ kind, planId, rateCardVersion }: Entry, report: (what: string) => void) {
    if (planId !== null && rateCardVersion === null)
      report(`names plan ${planId} and no version of its rate card`);
    // What ends or refunds something is of the plan that it was begun under: it is held against that.
    if (kind !== 'RESERVE' && kind !== 'CHARGE') return;
    if (planId === null) {
      // Entries of before accounts could move name no plan; none of them follows one that does.
      if (this.#plan !== null) report(`names no plan, the account lived under ${this.#plan}`);
      return;
    }
    if (this.#plan !== null && this.#plan !== planId)
      report(`is priced by plan ${planId}, the account lived under ${this.#plan}`);
    this.#plan = planId;
  }
}
