/**
 * The plans of an account over time, as its entries state them: what is reserved or charged is priced by
 * the current plan, and each plan change starts from the current plan.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Report } from './findings.ts';

export class PlanHistory {
  /** The current plan. Null before an entry names one: no entry names the plan at opening. */
  #plan: string | null = null;

  apply(entry: Entry, report: Report) {
    const { kind, planId, previousPlanId } = entry;
    if (kind !== 'PLAN_CHANGE') return this.#applyPriced(entry, report);
    if (previousPlanId === planId) report(`moves the account from plan ${planId} to itself`);
    if (this.#plan !== null && previousPlanId !== this.#plan)
      report(`moves the account from plan ${previousPlanId}, it lived under ${this.#plan}`);
    this.#plan = planId;
  }

  /** Compares the account's row with the last plan. */
  finish({ planId }: Account, report: Report) {
    if (this.#plan !== null && this.#plan !== planId)
      report(`plan_id is ${planId}, the entries say ${this.#plan}`);
  }

  #applyPriced({ kind, planId, rateCardVersion }: Entry, report: Report) {
    if (planId !== null && rateCardVersion === null)
      report(`names plan ${planId} and no version of its rate card`);
    // Commits and refunds have the plan of what they end or refund, which is checked elsewhere.
    if (kind !== 'RESERVE' && kind !== 'CHARGE') return;
    if (planId === null) {
      // Only entries from before plan changes existed name no plan; none follows one that does.
      if (this.#plan !== null) report(`names no plan, the account lived under ${this.#plan}`);
      return;
    }
    if (this.#plan !== null && this.#plan !== planId)
      report(`is priced by plan ${planId}, the account lived under ${this.#plan}`);
    this.#plan = planId;
  }
}
