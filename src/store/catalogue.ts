/**
 * The plans and every rate card version anyone still names, in memory; the database keeps them all.
 * Rate cards never change, so one that was read once is never read again. A plan is read again when its
 * revision says that a replica has published it anew: all replicas price alike from then on.
 */

import { toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { PlanFile, RateCard } from '../pricing/plan.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { type PublishedVersion, publishPlans } from './publish-plans.ts';
import { readPlan, readRateCard } from './read-plan.ts';

type Revision = { readonly plan_id: string; readonly revision: number };

/** Every plan as it is in memory. Plans are never removed and revisions only grow: their sum says which it was. */
export type KnownPlans = {
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  readonly revisions: bigint;
};

export class Catalogue {
  readonly #em: () => Em;
  readonly #plans = new Map<string, PublishedPlan>();

  constructor(em: () => Em) {
    this.#em = em;
  }

  /**
   * Every plan as it stands now, ordered by plan id, ready to say what it is at `now`. While the database
   * cannot be reached, the plans as they were known last.
   */
  async all(now: number): Promise<readonly PublishedPlan[]> {
    const plans = await this.asOf(this.#em(), now).catch((error: unknown) =>
      this.#knownDespite(error, now),
    );
    return [...plans.values()].sort((a, b) => (a.planId < b.planId ? -1 : 1));
  }

  /** One of `all`; null if there is none of that id. */
  async find(planId: string, now: number): Promise<PublishedPlan | null> {
    const plans = await this.asOf(this.#em(), now).catch((error: unknown) => {
      const known = this.#knownDespite(error, now);
      // It may have been published since.
      if (!known.has(planId)) throw error;
      return known;
    });
    return plans.get(planId) ?? null;
  }

  /**
   * Every plan by its id, as it stands in the transaction of `em`, ready to say what it is at `now`.
   * There are few: all revisions are asked for rather than those of certain accounts, which would be
   * a join for every one of them.
   */
  async asOf(em: Em, now: number): Promise<Map<string, PublishedPlan>> {
    const found = await query<Revision>(
      em,
      'select plan_id, revision from plans order by plan_id',
      [],
    );
    return await this.#upToDate(em, found, now);
  }

  /**
   * The plans as they were known last, if they can say what they are at `now`. Whoever decides by them
   * must make sure that their revisions are still the same when it writes.
   */
  known(now: number): KnownPlans | null {
    let revisions = 0;
    for (const plan of this.#plans.values()) {
      if (!isReady(plan, now)) return null;
      revisions += plan.revision;
    }
    return { plans: this.#plans, revisions: BigInt(revisions) };
  }

  /** Reads the rate card in force at an instant, if that has not been done. */
  async ready(plan: PublishedPlan, instant: number, em: Em = this.#em()): Promise<void> {
    const version = plan.versionAt(instant);
    if (!plan.rateCard(version)) await this.rateCard(plan, version, em);
  }

  /** A version of a plan's rate card; null if the plan never had it. */
  async rateCard(
    plan: PublishedPlan,
    version: number,
    em: Em = this.#em(),
  ): Promise<RateCard | null> {
    return await readRateCard(em, plan, version);
  }

  /** Publishes the plans, and has them in memory: see `publishPlans`. */
  async publish(plans: readonly PlanFile[], now: number): Promise<readonly PublishedVersion[]> {
    const published = await publishPlans(this.#em, plans, now);
    await this.all(now);
    return published;
  }

  /** The plans of these revisions: those in memory, and those that were published since read anew. */
  async #upToDate(
    em: Em,
    found: readonly Revision[],
    now: number,
  ): Promise<Map<string, PublishedPlan>> {
    const plans = new Map<string, PublishedPlan>();
    for (const { plan_id: planId, revision } of found) {
      const known = this.#plans.get(planId);
      const plan =
        known && known.revision >= revision
          ? known
          : await readPlan(em, planId, known?.loadedRateCards);
      if ((this.#plans.get(planId)?.revision ?? 0) < plan.revision) this.#plans.set(planId, plan);
      await this.ready(plan, now, em);
      plans.set(planId, plan);
    }
    return plans;
  }

  #knownDespite(error: unknown, now: number): ReadonlyMap<string, PublishedPlan> {
    const known = toDatabaseFailure(error) && this.known(now);
    if (!known) throw error;
    return known.plans;
  }
}

const isReady = (plan: PublishedPlan, now: number): boolean =>
  plan.rateCard(plan.versionAt(now)) !== undefined;
