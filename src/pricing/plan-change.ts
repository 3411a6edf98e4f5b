/** What publishing a plan file changes: the plan's terms, and its rate card versions. */
import type { PlanFile, RateCard } from './plan.ts';
import { planTermsToJson } from './plan-file/plan-json.ts';
import type { DatedVersion, PublishedPlan } from './published-plan.ts';
import { diffVersions, type MissedChanges } from './version-diff.ts';

export type NewVersion = {
  readonly version: number;
  readonly effectiveAt: number;
  readonly rateCard: RateCard;
};

export type PlanChange = {
  readonly file: PlanFile;
  /** The plan as it is published. Null: it is new. */
  readonly published: PublishedPlan | null;
  /** The moment of publishing. */
  readonly at: number;
  /** Whether the title, terms or packs differ. */
  readonly changesTerms: boolean;
  readonly added: readonly NewVersion[];
  /** Versions that are not in force yet and never will be. */
  readonly withdrawn: readonly DatedVersion[];
};

/** `published` is the plan with the rate cards in force at `at` and later; null for a new plan. */
export function findPlanChange(
  file: PlanFile,
  published: PublishedPlan | null,
  at: number,
): PlanChange | MissedChanges {
  const diff = diffVersions(file, published, at);
  if ('missed' in diff) return diff;
  const newest = published?.versions.at(-1)?.version ?? 0;
  return {
    file,
    published,
    at,
    changesTerms: published === null || !hasSameTerms(file, published),
    added: diff.added.map((dated, index) => ({ version: newest + 1 + index, ...dated })),
    withdrawn: diff.withdrawn.flatMap((version) => published?.version(version) ?? []),
  };
}

/** Whether the file is what is published. */
export const isUnchanged = ({ changesTerms, added, withdrawn }: PlanChange): boolean =>
  !changesTerms && added.length === 0 && withdrawn.length === 0;

const hasSameTerms = (file: PlanFile, { terms }: PublishedPlan): boolean =>
  JSON.stringify(planTermsToJson(file)) === JSON.stringify(planTermsToJson(terms));
