/**
 * The plans in force and every rate card version anyone still names, in memory; the database keeps
 * them all. Rate cards never change, so one that was read once is never read again.
 */
import { LockMode } from '@mikro-orm/core';
import type { Em } from '../db/orm.ts';
import { PlanRow, RateCardRow } from '../db/schema.ts';
import type { Plan, RateCard } from '../pricing/plan.ts';
import {
  planTermsFromJson,
  planTermsToJson,
  rateCardFromJson,
  rateCardToJson,
  sameRateCard,
} from '../pricing/plan-file/plan-json.ts';
import { isRetryable } from './database-failure.ts';

/** A plan with every rate card version that is in memory. */
export type CataloguedPlan = {
  readonly plan: Plan;
  readonly rateCards: Map<number, RateCard>;
  readonly createdAt: Map<number, number>;
};

export class Catalogue {
  readonly #em: () => Em;
  readonly #plans = new Map<string, CataloguedPlan>();

  constructor(em: () => Em) {
    this.#em = em;
  }

  /** Every plan, ordered by plan id. */
  all(): readonly Plan[] {
    return [...this.#plans.values()]
      .map(({ plan }) => plan)
      .sort((a, b) => (a.planId < b.planId ? -1 : 1));
  }

  /** A plan that is in memory already. */
  get(planId: string): CataloguedPlan | null {
    return this.#plans.get(planId) ?? null;
  }

  /** A plan, read from the database if another replica brought it; null if there is none. */
  async find(planId: string): Promise<CataloguedPlan | null> {
    const known = this.#plans.get(planId);
    if (known) return known;
    const row = await this.#em().findOne(PlanRow, { planId });
    if (!row) return null;
    const catalogued: CataloguedPlan = {
      plan: {
        planId,
        ...planTermsFromJson(row.terms),
        rateCard: await this.#readRateCard(planId, row.rateCardVersion),
      },
      rateCards: new Map(),
      createdAt: new Map(),
    };
    this.#plans.set(planId, catalogued);
    await this.rateCard(catalogued, row.rateCardVersion);
    return catalogued;
  }

  /** A version of a plan's rate card; null if the plan never had it. */
  async rateCard(catalogued: CataloguedPlan, version: number): Promise<RateCard | null> {
    const known = catalogued.rateCards.get(version);
    if (known) return known;
    const { planId } = catalogued.plan;
    const row = await this.#em().findOne(RateCardRow, { planId, version });
    if (!row) return null;
    const rateCard = rateCardFromJson(row.content, version);
    catalogued.rateCards.set(version, rateCard);
    catalogued.createdAt.set(version, row.createdAt.getTime());
    return rateCard;
  }

  /**
   * Makes the plans of the plan files the ones in force. A plan whose prices differ from its newest
   * rate card gets a new version; other terms are replaced. Replicas that start at once agree.
   */
  async publish(plans: readonly Plan[], now: number): Promise<void> {
    for (const plan of plans) await this.#publishOne(plan, now);
    for (const { planId } of await this.#em().findAll(PlanRow, { fields: ['planId'] }))
      await this.find(planId);
  }

  async #publishOne(plan: Plan, now: number, triesLeft = 20): Promise<void> {
    try {
      await this.#em().transactional(async (em) => {
        const at = new Date(now);
        const row = await em.findOne(
          PlanRow,
          { planId: plan.planId },
          { lockMode: LockMode.PESSIMISTIC_WRITE },
        );
        const newest = row && (await this.#readRateCard(plan.planId, row.rateCardVersion));
        const unchanged = newest && sameRateCard(newest, plan.rateCard);
        const version = unchanged ? newest.version : (newest?.version ?? 0) + 1;
        if (!unchanged)
          em.create(RateCardRow, {
            planId: plan.planId,
            version,
            content: rateCardToJson(plan.rateCard),
            createdAt: at,
          });
        const terms = {
          title: plan.title,
          terms: planTermsToJson(plan),
          rateCardVersion: version,
          updatedAt: at,
        };
        if (row) em.assign(row, terms);
        else em.create(PlanRow, { planId: plan.planId, ...terms });
      });
    } catch (error) {
      // Another replica publishes the same plan at this moment.
      if (!isRetryable(error) || triesLeft === 0) throw error;
      await this.#publishOne(plan, now, triesLeft - 1);
    }
  }

  async #readRateCard(planId: string, version: number): Promise<RateCard> {
    const row = await this.#em().findOneOrFail(RateCardRow, { planId, version });
    return rateCardFromJson(row.content, version);
  }
}
