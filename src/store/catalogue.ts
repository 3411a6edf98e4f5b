/**
 * The plans, and the rate card versions that were asked for, in memory. A rate card version never changes
 * and is loaded once. A plan is loaded again when its revision in the database is a newer one, so that all
 * replicas price alike once it is published.
 */
import { toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { RateCard } from '../pricing/plan.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { loadPlan, loadRateCard } from './load-plan.ts';

type Revision = { readonly plan_id: string; readonly revision: number };

export type CachedPlans = {
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /** The sum of their revisions. Plans are never removed, so any publication increases it. */
  readonly revision: bigint;
};

export class Catalogue {
  readonly #em: () => Em;
  readonly #plans = new Map<string, PublishedPlan>();

  constructor(em: () => Em) {
    this.#em = em;
  }

  /**
   * Every plan, ordered by id, with the rate card in force at `now`. While the database cannot be reached:
   * the cached plans.
   */
  async findPlans(now: number): Promise<readonly PublishedPlan[]> {
    const plans = await this.loadPlans(this.#em(), now).catch((error: unknown) =>
      this.#cachedOrThrow(error, now),
    );
    return [...plans.values()].sort((a, b) => (a.planId < b.planId ? -1 : 1));
  }

  /** The ids of `findPlans`. */
  async findPlanIds(now: number): Promise<readonly string[]> {
    return (await this.findPlans(now)).map(({ planId }) => planId);
  }

  /** The ids of all plans, in their order, whatever the time is. */
  async publishedPlanIds(): Promise<readonly string[]> {
    const sql = 'select plan_id from plans order by plan_id';
    const rows = await query<{ plan_id: string }>(this.#em(), sql, []);
    return rows.map(({ plan_id }) => plan_id);
  }

  /** One of `findPlans`. Null if there is no such plan. */
  async findPlan(planId: string, now: number): Promise<PublishedPlan | null> {
    const plans = await this.loadPlans(this.#em(), now).catch((error: unknown) => {
      const cached = this.#cachedOrThrow(error, now);
      // It may have been published since.
      if (!cached.has(planId)) throw error;
      return cached;
    });
    return plans.get(planId) ?? null;
  }

  /**
   * Every plan by its id, as the transaction of `em` sees it, with the rate card in force at `now`. The
   * revisions of all plans are read: there are few plans, and a join for each account would cost more.
   */
  async loadPlans(em: Em, now: number): Promise<Map<string, PublishedPlan>> {
    const revisions = await query<Revision>(
      em,
      'select plan_id, revision from plans order by plan_id',
      [],
    );
    const plans = new Map<string, PublishedPlan>();
    for (const { plan_id: planId, revision } of revisions) {
      const plan = await this.#planAtRevision(em, planId, revision);
      await this.loadRateCardInForce(plan, now, em);
      plans.set(planId, plan);
    }
    return plans;
  }

  /**
   * The plans as they were loaded last; null if a rate card in force at `now` is not loaded. What is
   * decided by them may only be written while the sum of revisions in the database is still the same.
   */
  cachedPlans(now: number): CachedPlans | null {
    let revision = 0;
    for (const plan of this.#plans.values()) {
      if (!plan.rateCard(plan.versionAt(now))) return null;
      revision += plan.revision;
    }
    return { plans: this.#plans, revision: BigInt(revision) };
  }

  /** Loads the rate card in force at an instant, unless it is loaded. */
  async loadRateCardInForce(plan: PublishedPlan, instant: number, em = this.#em()): Promise<void> {
    const version = plan.versionAt(instant);
    if (!plan.rateCard(version)) await loadRateCard(em, plan, version);
  }

  /** A version of a plan's rate card. Null if the plan never had it. */
  async loadRateCard(
    plan: PublishedPlan,
    version: number,
    em = this.#em(),
  ): Promise<RateCard | null> {
    return plan.rateCard(version) ?? (await loadRateCard(em, plan, version));
  }

  /** The plan at this revision or a newer one. */
  async #planAtRevision(em: Em, planId: string, revision: number): Promise<PublishedPlan> {
    const cached = this.#plans.get(planId);
    if (cached && cached.revision >= revision) return cached;
    const plan = await loadPlan(em, planId, cached?.loadedRateCards);
    // Another call may have loaded a newer one meanwhile.
    if ((this.#plans.get(planId)?.revision ?? 0) < plan.revision) this.#plans.set(planId, plan);
    return plan;
  }

  #cachedOrThrow(error: unknown, now: number): ReadonlyMap<string, PublishedPlan> {
    const cached = toDatabaseFailure(error) && this.cachedPlans(now);
    if (!cached) throw error;
    return cached.plans;
  }
}
