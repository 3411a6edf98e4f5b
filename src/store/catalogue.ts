/**
 * The plans and every rate card version anyone still names, in memory; the database keeps them all.
 * Rate cards never change, so one that was read once is never read again. A plan is read again when its
 * revision says that a replica has published it anew: all replicas price alike from then on.
 */
import { LockMode } from '@mikro-orm/core';
import type { Em } from '../db/orm.ts';
import { PlanRow, RateCardRow } from '../db/schema.ts';
import type { FiledPlan, RateCard } from '../pricing/plan.ts';
import {
  planTermsFromJson,
  planTermsToJson,
  rateCardFromJson,
  rateCardToJson,
} from '../pricing/plan-file/plan-json.ts';
import { publicationOf } from '../pricing/publication.ts';
import { PublishedPlan } from '../pricing/published-plan.ts';
import { run } from './bulk.ts';
import { failureOfDatabase, isRetryable } from './database-failure.ts';
import { millis } from './rows.ts';

type Revision = { readonly plan_id: string; readonly revision: number };

/** The prices of plan files that were published. */
export type PublishedVersion = {
  readonly planId: string;
  readonly version: number;
  readonly effectiveAt: number;
};

/** Plan files that may not be published, one line for each mistake: file, path, reason. */
export class UnpublishablePlans extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

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
    const em = this.#em();
    const sql = 'select plan_id, revision from plans order by plan_id';
    const plans = await run<Revision>(em, sql, [])
      .then((found) => this.#upToDate(em, found, now))
      .catch((error: unknown) => this.#knownDespite(error, now));
    return [...plans.values()].sort((a, b) => (a.planId < b.planId ? -1 : 1));
  }

  /** One of `all`; null if there is none of that id. */
  async find(planId: string, now: number): Promise<PublishedPlan | null> {
    const plans = await this.namedBy(this.#em(), [], [planId], now).catch((error: unknown) => {
      const known = this.#knownDespite(error, now);
      // It may have been published since.
      if (!known.has(planId)) throw error;
      return known;
    });
    return plans.get(planId) ?? null;
  }

  /**
   * The plans of these accounts, and others by id, as they stand in the transaction of `em`: one query
   * on the keys. Plans there are none of are left out.
   */
  async namedBy(
    em: Em,
    accountIds: readonly string[],
    planIds: readonly string[],
    now: number,
  ): Promise<Map<string, PublishedPlan>> {
    const found = await run<Revision>(
      em,
      `select p.plan_id, p.revision from accounts a join plans p using (plan_id)
         where a.account_id = any($1::text[])
       union select plan_id, revision from plans where plan_id = any($2::text[])`,
      [accountIds, planIds],
    );
    return await this.#upToDate(em, found, now);
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
    const known = plan.rateCard(version);
    if (known) return known;
    const [row] = await run<{ content: unknown }>(
      em,
      'select content from rate_cards where plan_id = $1 and version = $2',
      [plan.planId, version],
    );
    if (!row) return null;
    const rateCard = rateCardFromJson(row.content, version);
    plan.keep(rateCard);
    return rateCard;
  }

  /**
   * Makes the plans what their files say, from now on: see `publicationOf`. Replicas that start at once
   * agree. Answers the rate card versions that are new; throws `UnpublishablePlans` where a file may not
   * be published, and has changed nothing of any.
   */
  async publish(
    plans: readonly FiledPlan[],
    now: number,
    triesLeft = 20,
  ): Promise<readonly PublishedVersion[]> {
    try {
      // In the order of their ids, so that no two replicas wait for each other.
      const inOrder = plans.toSorted((a, b) => (a.planId < b.planId ? -1 : 1));
      const published = await this.#em().transactional((em) => this.#publishAll(em, inOrder, now));
      await this.all(now);
      return published;
    } catch (error) {
      // Another replica publishes the same plans at this moment.
      if (!isRetryable(error) || triesLeft === 0) throw error;
      return await this.publish(plans, now, triesLeft - 1);
    }
  }

  async #publishAll(em: Em, plans: readonly FiledPlan[], now: number) {
    const published: PublishedVersion[] = [];
    const mistakes: string[] = [];
    for (const plan of plans) {
      const outcome = await this.#publishOne(em, plan, now);
      if ('versions' in outcome) published.push(...outcome.versions);
      else mistakes.push(...outcome.mistakes);
    }
    if (mistakes.length > 0) throw new UnpublishablePlans(mistakes);
    return published;
  }

  async #publishOne(em: Em, filed: FiledPlan, now: number): Promise<Outcome> {
    const { planId } = filed;
    const row = await em.findOne(PlanRow, { planId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    // The clocks of replicas differ; one publication never comes before another that it follows.
    const at = Math.max(now, row?.updatedAt.getTime() ?? now);
    const before = row && (await this.#read(em, planId));
    if (before) {
      await this.ready(before, at, em);
      for (const { version } of before.upcomingAt(at)) await this.rateCard(before, version, em);
    }
    const publication = publicationOf(filed, before, at);
    if ('missed' in publication)
      return { mistakes: publication.missed.map((index) => missedText(filed, index)) };

    const newest = before?.versions.at(-1)?.version ?? 0;
    const versions = publication.added.map(({ effectiveAt, rateCard }, index) => {
      const version = newest + 1 + index;
      em.create(RateCardRow, {
        planId,
        version,
        content: rateCardToJson(rateCard),
        createdAt: new Date(at),
        effectiveAt: new Date(effectiveAt),
      });
      return { planId, version, effectiveAt };
    });
    const terms = planTermsToJson(filed);
    const same = before && JSON.stringify(planTermsToJson(before.terms)) === JSON.stringify(terms);
    if (same && versions.length === 0 && publication.withdrawn.length === 0) return { versions };
    const content = {
      title: filed.title,
      terms,
      revision: (row?.revision ?? 0) + 1,
      withdrawn: [...(row?.withdrawn ?? []), ...publication.withdrawn],
      updatedAt: new Date(at),
    };
    if (row) em.assign(row, content);
    else em.create(PlanRow, { planId, ...content });
    return { versions };
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
      const plan = known && known.revision >= revision ? known : await this.#read(em, planId);
      if ((this.#plans.get(planId)?.revision ?? 0) < plan.revision) this.#plans.set(planId, plan);
      await this.ready(plan, now, em);
      plans.set(planId, plan);
    }
    return plans;
  }

  #knownDespite(error: unknown, now: number): ReadonlyMap<string, PublishedPlan> {
    const ready = (plan: PublishedPlan) => plan.rateCard(plan.versionAt(now)) !== undefined;
    if (!failureOfDatabase(error) || ![...this.#plans.values()].every(ready)) throw error;
    return this.#plans;
  }

  /** A plan that exists, with the rate cards that are in memory already. */
  async #read(em: Em, planId: string): Promise<PublishedPlan> {
    const rows = await run<PlanVersionRow>(
      em,
      `select p.revision, p.terms, p.withdrawn @> to_jsonb(r.version) as withdrawn, r.version,
         ${millis('r.effective_at', 'effective_at')}, ${millis('r.created_at', 'created_at')}
       from plans p join rate_cards r using (plan_id) where plan_id = $1 order by version`,
      [planId],
    );
    const [first] = rows;
    if (!first) throw new Error(`there is no plan ${planId}`);
    return new PublishedPlan(
      planId,
      first.revision,
      planTermsFromJson(first.terms),
      rows.map((row) => ({
        version: row.version,
        effectiveAt: row.effective_at,
        createdAt: row.created_at,
        withdrawn: row.withdrawn,
      })),
      this.#plans.get(planId)?.rateCardsRead ?? new Map(),
    );
  }
}

type PlanVersionRow = {
  readonly revision: number;
  readonly terms: unknown;
  readonly withdrawn: boolean;
  readonly version: number;
  readonly effective_at: number;
  readonly created_at: number;
};

type Outcome =
  | { readonly versions: readonly PublishedVersion[] }
  | { readonly mistakes: readonly string[] };

function missedText({ file, changes }: FiledPlan, index: number): string {
  const from = new Date(changes[index]?.from ?? 0).toISOString();
  return (
    `${file}: changes[${index}].from: ${from} is past, and this change was not published before it: ` +
    'date it ahead, or put its prices into operations to have them now'
  );
}
