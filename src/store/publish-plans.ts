/** Makes plans in the database what their files say. */
import { isRetryable } from '../pg/failures.ts';
import { type Em, LockMode } from '../pg/orm.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { planTermsToJson, rateCardToJson } from '../pricing/plan-file/plan-json.ts';
import { diffVersions } from '../pricing/version-diff.ts';
import { readPlan, readRateCard } from './read-plan.ts';
import { entities } from './tables/index.ts';

/** The prices of plan files that were published. */
export type PublishedVersion = {
  readonly planId: string;
  readonly version: number;
  readonly effectiveAt: number;
};

/** Plan files that may not be published, one line for each error: file, path, reason. */
export class UnpublishablePlans extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

/**
 * Publishes the plans, from now on: see `publicationOf`. Replicas that start at once agree. Answers the
 * rate card versions that are new; throws `UnpublishablePlans` where a file may not be published, and has
 * changed nothing of any.
 */
export async function publishPlans(
  em: () => Em,
  plans: readonly PlanFile[],
  now: number,
  triesLeft = 20,
): Promise<readonly PublishedVersion[]> {
  try {
    // In the order of their ids, so that no two replicas wait for each other.
    const inOrder = plans.toSorted((a, b) => (a.planId < b.planId ? -1 : 1));
    return await em().transactional((within) => publishAll(within, inOrder, now));
  } catch (error) {
    // Another replica publishes the same plans at this moment.
    if (!isRetryable(error) || triesLeft === 0) throw error;
    return await publishPlans(em, plans, now, triesLeft - 1);
  }
}

async function publishAll(em: Em, plans: readonly PlanFile[], now: number) {
  const published: PublishedVersion[] = [];
  const errors: string[] = [];
  for (const plan of plans) {
    const outcome = await publishOne(em, plan, now);
    if ('versions' in outcome) published.push(...outcome.versions);
    else errors.push(...outcome.errors);
  }
  if (errors.length > 0) throw new UnpublishablePlans(errors);
  return published;
}

type Outcome =
  | { readonly versions: readonly PublishedVersion[] }
  | { readonly errors: readonly string[] };

async function publishOne(em: Em, filed: PlanFile, now: number): Promise<Outcome> {
  const { planId } = filed;
  const row = await em.findOne(
    entities.plans,
    { planId },
    { lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  // The clocks of replicas differ; one publication never comes before another that it follows.
  const at = Math.max(now, row?.updatedAt.getTime() ?? now);
  const before = row && (await readPlan(em, planId));
  if (before) {
    await readRateCard(em, before, before.versionAt(at));
    for (const { version } of before.upcomingAt(at)) await readRateCard(em, before, version);
  }
  const publication = diffVersions(filed, before, at);
  if ('missed' in publication)
    return { errors: publication.missed.map((index) => missedText(filed, index)) };

  const newest = before?.versions.at(-1)?.version ?? 0;
  const versions = publication.added.map(({ effectiveAt, rateCard }, index) => {
    const version = newest + 1 + index;
    em.create(entities.rateCards, {
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
  else em.create(entities.plans, { planId, ...content });
  return { versions };
}

function missedText({ file, changes }: PlanFile, index: number): string {
  const from = new Date(changes[index]?.from ?? 0).toISOString();
  return (
    `${file}: changes[${index}].from: ${from} is past, and this change was not published before it: ` +
    'date it ahead, or put its prices into operations to have them now'
  );
}
