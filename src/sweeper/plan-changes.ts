/**
 * Settles the accounts that a change of their plan concerns, so that the events of it do not wait for the
 * next use of each account. A plan changes by a publication, and when a dated rate card comes into force.
 * Every replica does so once per change, and once after its start; settling what is settled writes nothing.
 */
import type { Clock } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Em } from '../pg/orm.ts';
import type { Plan } from '../pricing/plan.ts';
import { findOutdatedAccounts } from '../queries/outdated-accounts.ts';
import type { Catalogue } from '../store/catalogue.ts';

export type PlanChangesOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly lanes: Lanes;
  /** Upper bound of the accounts in one batch. */
  readonly accountsMax: number;
};

export class PlanChanges {
  readonly #options: PlanChangesOptions;
  /** By plan id: the revision and the rate card version for which its accounts were settled. */
  readonly #settled = new Map<string, string>();

  constructor(options: PlanChangesOptions) {
    this.#options = options;
  }

  /** Settles what the changes since the last call concern, until `signal` aborts. */
  async settle(signal: AbortSignal): Promise<void> {
    const { catalogue, clock } = this.#options;
    const now = clock.now();
    for (const published of await catalogue.findPlans(now)) {
      const plan = published.planAt(now);
      const state = `${published.revision} ${plan.rateCard.version}`;
      if (this.#settled.get(plan.planId) === state) continue;
      if (await this.#settleAccounts(plan, signal)) this.#settled.set(plan.planId, state);
    }
  }

  /** Resolves to whether all of them were settled. */
  async #settleAccounts(plan: Plan, signal: AbortSignal): Promise<boolean> {
    const { em, lanes, accountsMax } = this.#options;
    let after = '';
    let allSettled = true;
    while (!signal.aborted) {
      const accountIds = await findOutdatedAccounts(em(), plan, after, accountsMax);
      const answers = await Promise.all(accountIds.map((accountId) => lanes.settle(accountId)));
      if (answers.some((answer) => answer instanceof Failure)) allSettled = false;
      const last = accountIds.at(-1);
      if (last === undefined || accountIds.length < accountsMax) return allSettled;
      after = last;
    }
    return false;
  }
}
