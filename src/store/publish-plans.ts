/** Publishes plan files: what they say becomes effective for all replicas. */
import { isRetryable } from '../pg/failures.ts';
import { type Em, LockMode } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { findPlanChange, isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { planTermsToJson, rateCardToJson } from '../pricing/plan-file/plan-json.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { loadPlan, loadRateCard } from './load-plan.ts';
import { entities } from './tables/index.ts';

/** Plan files that must not be published. A line for each error: file, path, reason. */
export class UnpublishablePlans extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

/** Plan files compared with the published plans. */
export type PlanComparison = {
  /** What publishing the files would change, one for each file that can be published. */
  readonly changes: readonly PlanChange[];
  /** Why files must not be published: file, path, reason. */
  readonly errors: readonly string[];
  /** Published plans that no file is about. Publishing leaves them as they are. */
  readonly withoutFile: readonly string[];
};

/** Compares plan files with what is published at `now`, in the order of plan ids. Changes nothing. */
export async function comparePlans(
  em: Em,
  files: readonly PlanFile[],
  now: number,
): Promise<PlanComparison> {
  const { changes, errors } = await findChanges(em, files, now);
  const rows = await query<{ plan_id: string }>(em, 'select plan_id from plans order by 1', []);
  const own = new Set(files.map(({ planId }) => planId));
  const withoutFile = rows.map(({ plan_id }) => plan_id).filter((planId) => !own.has(planId));
  return { changes, errors, withoutFile };
}

/**
 * Publishes the plans at `now`, all or none, and returns what that changed: see `diffVersions`. Throws
 * UnpublishablePlans where a file must not be published. The same files may be published several times, and
 * at the same time.
 */
export async function publishPlans(
  em: () => Em,
  files: readonly PlanFile[],
  now: number,
  retriesLeft = 20,
): Promise<readonly PlanChange[]> {
  try {
    return await em().transactional(async (em) => {
      const { changes, errors } = await findChanges(em, files, now, LockMode.PESSIMISTIC_WRITE);
      if (errors.length > 0) throw new UnpublishablePlans(errors);
      for (const change of changes) if (!isUnchanged(change)) await writeChange(em, change);
      return changes;
    });
  } catch (error) {
    // Another publication inserts the same new plan.
    if (!isRetryable(error) || retriesLeft === 0) throw error;
    return await publishPlans(em, files, now, retriesLeft - 1);
  }
}

async function findChanges(
  em: Em,
  files: readonly PlanFile[],
  now: number,
  lockMode?: LockMode.PESSIMISTIC_WRITE,
): Promise<Pick<PlanComparison, 'changes' | 'errors'>> {
  const changes: PlanChange[] = [];
  const errors: string[] = [];
  // Rows are locked in the order of plan ids, so that two publications never deadlock.
  for (const file of files.toSorted((a, b) => (a.planId < b.planId ? -1 : 1))) {
    const { planId } = file;
    const row = await em.findOne(entities.plans, { planId }, lockMode ? { lockMode } : {});
    // A publication is never dated before the one that it follows.
    const at = Math.max(now, row?.updatedAt.getTime() ?? now);
    const change = findPlanChange(file, row && (await loadWithRateCards(em, planId, at)), at);
    if ('missed' in change) errors.push(...change.missed.map((index) => missedText(file, index)));
    else changes.push(change);
  }
  return { changes, errors };
}

/** The published plan with the rate cards in force at an instant and later. */
async function loadWithRateCards(em: Em, planId: string, at: number): Promise<PublishedPlan> {
  const plan = await loadPlan(em, planId);
  const upcoming = plan.upcomingAt(at).map(({ version }) => version);
  for (const version of [plan.versionAt(at), ...upcoming]) await loadRateCard(em, plan, version);
  return plan;
}

async function writeChange(em: Em, { file, at, changesTerms, added, withdrawn }: PlanChange) {
  const { planId, title } = file;
  for (const { version, effectiveAt, rateCard } of added)
    em.create(entities.rateCards, {
      planId,
      version,
      content: rateCardToJson(rateCard),
      createdAt: new Date(at),
      effectiveAt: new Date(effectiveAt),
    });
  const row = await em.findOne(entities.plans, { planId });
  const version = (row?.version ?? 0) + (changesTerms ? 1 : 0);
  if (changesTerms)
    em.create(entities.planVersions, {
      planId,
      version,
      title,
      terms: planTermsToJson(file),
      createdAt: new Date(at),
    });
  const content = {
    version,
    revision: (row?.revision ?? 0) + 1,
    withdrawn: [...(row?.withdrawn ?? []), ...withdrawn.map(({ version }) => version)],
    updatedAt: new Date(at),
  };
  if (row) em.assign(row, content);
  else em.create(entities.plans, { planId, ...content });
}

function missedText({ file, changes }: PlanFile, index: number): string {
  const from = new Date(changes[index]?.from ?? 0).toISOString();
  return (
    `${file}: changes[${index}].from: ${from} is past, and this change was not published before it: ` +
    'date it ahead, or put its prices into operations to have them now'
  );
}
