/**
 * The plans of an account over time, as its entries state them. Every entry names the plan whose terms
 * applied: the current one or, of an entry of a reservation or refund, that of what it is about, which is
 * checked elsewhere. Each plan change starts from the current plan.
 *
 * The versions of a plan's terms never go back: a unit of work reads the plans after it has locked the
 * account. When a version was published is not compared with the entry's time: the unit of work has its time
 * before it reads the plans, so the terms may have been published a moment after it.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Report } from './findings.ts';
import { ENTRY_RULES } from './moves.ts';

export class PlanHistory {
  /** The current plan. Null before the first entry. */
  #plan: string | null = null;
  /** The newest version of each plan's terms. */
  readonly #versions = new Map<string, number>();

  apply(entry: Entry, report: Report) {
    const { kind, planId, planVersion, previousPlanId } = entry;
    const before = this.#versions.get(planId) ?? 0;
    if (planVersion < before)
      report(
        `has version ${planVersion} of plan ${planId}, an earlier entry has version ${before}`,
      );
    this.#versions.set(planId, Math.max(planVersion, before));
    if (kind === 'PLAN_CHANGE') {
      if (previousPlanId === planId) report(`moves the account from plan ${planId} to itself`);
      if (this.#plan !== null && previousPlanId !== this.#plan)
        report(`moves the account from plan ${previousPlanId}, it lived under ${this.#plan}`);
    } else {
      if (isOfAnother(entry)) return;
      if (this.#plan !== null && this.#plan !== planId)
        report(`names plan ${planId}, the account lived under ${this.#plan}`);
    }
    this.#plan = planId;
  }

  /** Compares the account's row with the last plan. */
  finish({ planId }: Account, report: Report) {
    if (this.#plan !== null && this.#plan !== planId)
      report(`plan_id is ${planId}, the entries say ${this.#plan}`);
  }
}

/** Whether the plan that an entry names is that of an earlier entry, and not the account's. */
export const isOfAnother = ({ kind }: Pick<Entry, 'kind'>): boolean =>
  kind === 'REFUND' || (kind !== 'RESERVE' && ENTRY_RULES[kind].names.includes('reservation'));
