/** Publishes plan files: what they say becomes effective for all replicas. */
import { isRetryable } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { findPlanChange, isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { planTermsToJson, rateCardToJson } from '../pricing/plan-file/plan-json.ts';
import { NO_VERSION, planHash, rateCardHash, termsHash } from '../pricing/publication-hash.ts';
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
 * Publications are done one after the other: what one writes follows from what it has read, and a plan that is
 * new has no row to lock.
 */
export const PUBLICATION_LOCK = 7_203_114;

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
      await query(em, 'select pg_advisory_xact_lock($1)', [PUBLICATION_LOCK]);
      const { changes, errors } = await findChanges(em, files, now);
      if (errors.length > 0) throw new UnpublishablePlans(errors);
      for (const change of changes) if (!isUnchanged(change)) await writeChange(em, change);
      return changes;
    });
  } catch (error) {
    // Where transactions have one snapshot, it is older than the lock.
    if (!isRetryable(error) || retriesLeft === 0) throw error;
    return await publishPlans(em, files, now, retriesLeft - 1);
  }
}

async function findChanges(
  em: Em,
  files: readonly PlanFile[],
  now: number,
): Promise<Pick<PlanComparison, 'changes' | 'errors'>> {
  const changes: PlanChange[] = [];
  const errors: string[] = [];
  for (const file of files.toSorted((a, b) => (a.planId < b.planId ? -1 : 1))) {
    const { planId } = file;
    const row = await em.findOne(entities.plans, { planId });
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

async function writeChange(em: Em, change: PlanChange) {
  const { file, at, changesTerms, withdrawn } = change;
  const { planId } = file;
  const row = await em.findOne(entities.plans, { planId });
  const version = (row?.version ?? 0) + (changesTerms ? 1 : 0);
  const newestRateCard = await addRateCards(em, change);
  const newestTerms = await addTerms(em, change, version);
  const content = {
    version,
    revision: (row?.revision ?? 0) + 1,
    withdrawn: [...(row?.withdrawn ?? []), ...withdrawn.map(({ version }) => version)],
    updatedAt: new Date(at),
  };
  const state = { ...content, planId, updatedAt: at };
  const hash = planHash(state, newestTerms, newestRateCard);
  if (row) em.assign(row, { ...content, hash });
  else em.create(entities.plans, { planId, ...content, hash });
}

const NEWEST_FIRST = { orderBy: { version: 'desc' } } as const;

/** Returns the hash of the newest version. */
async function addRateCards(em: Em, { file, at, added }: PlanChange): Promise<Uint8Array> {
  const { planId } = file;
  const before = await em.findOne(entities.rateCards, { planId }, NEWEST_FIRST);
  let newest: Uint8Array = before?.hash ?? NO_VERSION;
  for (const { version, effectiveAt, rateCard } of added) {
    const published = { planId, version, content: rateCardToJson(rateCard) };
    const hash = rateCardHash({ ...published, createdAt: at, effectiveAt }, newest);
    const dates = { createdAt: new Date(at), effectiveAt: new Date(effectiveAt) };
    em.create(entities.rateCards, { ...published, ...dates, hash });
    newest = hash;
  }
  return newest;
}

/** Returns the hash of the newest version, which is this one. */
async function addTerms(
  em: Em,
  { file, at, changesTerms }: PlanChange,
  version: number,
): Promise<Uint8Array> {
  const { planId, title } = file;
  const before = await em.findOne(entities.planVersions, { planId }, NEWEST_FIRST);
  const newest = before?.hash ?? NO_VERSION;
  if (!changesTerms) return newest;
  const published = { planId, version, title, terms: planTermsToJson(file) };
  const hash = termsHash({ ...published, createdAt: at }, newest);
  em.create(entities.planVersions, { ...published, createdAt: new Date(at), hash });
  return hash;
}

function missedText({ file, changes }: PlanFile, index: number): string {
  const from = new Date(changes[index]?.from ?? 0).toISOString();
  return (
    `${file}: changes[${index}].from: ${from} is past, and this change was not published before it: ` +
    'date it ahead, or put its prices into operations to have them now'
  );
}
