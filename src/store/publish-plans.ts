/** Publishes plan files: what they say becomes effective for all replicas. */
import { isRetryable } from '../pg/failures.ts';
import { type Em, LockMode } from '../pg/orm.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { planTermsToJson, rateCardToJson } from '../pricing/plan-file/plan-json.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { diffVersions, type VersionDiff } from '../pricing/version-diff.ts';
import { loadPlan, loadRateCard } from './load-plan.ts';
import { entities } from './tables/index.ts';

/** A new version of a plan's rate card. */
export type PublishedVersion = {
  readonly planId: string;
  readonly version: number;
  readonly effectiveAt: number;
};

/** Plan files that must not be published. A line for each error: file, path, reason. */
export class UnpublishablePlans extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

/**
 * Publishes the plans at `now`, all or none, and returns their new rate card versions: see `diffVersions`.
 * Throws UnpublishablePlans where a file must not be published. Replicas may publish the same files at the
 * same time.
 */
export async function publishPlans(
  em: () => Em,
  plans: readonly PlanFile[],
  now: number,
  retriesLeft = 20,
): Promise<readonly PublishedVersion[]> {
  try {
    // Rows are locked in the order of plan ids, so that two replicas never deadlock.
    const sorted = plans.toSorted((a, b) => (a.planId < b.planId ? -1 : 1));
    return await em().transactional((em) => publishAll(em, sorted, now));
  } catch (error) {
    // Another replica inserts the same new plan.
    if (!isRetryable(error) || retriesLeft === 0) throw error;
    return await publishPlans(em, plans, now, retriesLeft - 1);
  }
}

async function publishAll(em: Em, files: readonly PlanFile[], now: number) {
  const versions: PublishedVersion[] = [];
  const errors: string[] = [];
  for (const file of files) {
    const outcome = await publishOne(em, file, now);
    if ('versions' in outcome) versions.push(...outcome.versions);
    else errors.push(...outcome.errors);
  }
  if (errors.length > 0) throw new UnpublishablePlans(errors);
  return versions;
}

type Outcome =
  | { readonly versions: readonly PublishedVersion[] }
  | { readonly errors: readonly string[] };

async function publishOne(em: Em, file: PlanFile, now: number): Promise<Outcome> {
  const { planId } = file;
  const row = await em.findOne(
    entities.plans,
    { planId },
    { lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  // The clocks of replicas differ, but a publication is never dated before the one that it follows.
  const at = Math.max(now, row?.updatedAt.getTime() ?? now);
  const published = row && (await loadWithRateCards(em, planId, at));
  const diff = diffVersions(file, published, at);
  if ('missed' in diff) return { errors: diff.missed.map((index) => missedText(file, index)) };

  const versions = addVersions(em, planId, published, diff, at);
  const terms = planTermsToJson(file);
  const isSame = published !== null && sameJson(planTermsToJson(published.terms), terms);
  if (isSame && versions.length === 0 && diff.withdrawn.length === 0) return { versions };
  const content = {
    title: file.title,
    terms,
    revision: (row?.revision ?? 0) + 1,
    withdrawn: [...(row?.withdrawn ?? []), ...diff.withdrawn],
    updatedAt: new Date(at),
  };
  if (row) em.assign(row, content);
  else em.create(entities.plans, { planId, ...content });
  return { versions };
}

/** The published plan with the rate cards in force at an instant and later. */
async function loadWithRateCards(em: Em, planId: string, at: number): Promise<PublishedPlan> {
  const plan = await loadPlan(em, planId);
  const upcoming = plan.upcomingAt(at).map(({ version }) => version);
  for (const version of [plan.versionAt(at), ...upcoming]) await loadRateCard(em, plan, version);
  return plan;
}

function addVersions(
  em: Em,
  planId: string,
  published: PublishedPlan | null,
  { added }: VersionDiff,
  at: number,
): PublishedVersion[] {
  const newest = published?.versions.at(-1)?.version ?? 0;
  return added.map(({ effectiveAt, rateCard }, index) => {
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
}

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function missedText({ file, changes }: PlanFile, index: number): string {
  const from = new Date(changes[index]?.from ?? 0).toISOString();
  return (
    `${file}: changes[${index}].from: ${from} is past, and this change was not published before it: ` +
    'date it ahead, or put its prices into operations to have them now'
  );
}
