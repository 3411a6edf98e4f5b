/**
 * The difference between a plan file's prices and the published versions. Publishing the file applies it:
 * from then on the prices are those of the file, and prices of the past stay as they were. So publishing
 * the same file again changes nothing, and a dated change can be edited or removed until its date.
 */
import { type PlanFile, type RateCard, rateCardAt } from './plan.ts';
import { sameRateCard } from './plan-file/plan-json.ts';
import type { PublishedPlan } from './published-plan.ts';

export type VersionDiff = {
  /** New versions, to be numbered in this order. */
  readonly added: readonly { readonly effectiveAt: number; readonly rateCard: RateCard }[];
  /** Versions that are not in force yet and never will be. */
  readonly withdrawn: readonly number[];
};

/** The file must not be published: indexes of its changes that the published plan has missed. */
export type MissedChanges = { readonly missed: readonly number[] };

/**
 * `published` is the plan with the rate cards in force at `at` and later; null for a new plan. `at` is the
 * moment of publishing.
 */
export function diffVersions(
  file: PlanFile,
  published: PublishedPlan | null,
  at: number,
): VersionDiff | MissedChanges {
  const rateCard = rateCardAt(file, at);
  const inForce = published?.planAt(at).rateCard;
  const changed = inForce === undefined || !sameRateCard(inForce, rateCard);
  const missed = published && changed ? missedChanges(file, published, at) : [];
  if (missed.length > 0) return { missed };

  const added = changed ? [{ effectiveAt: at, rateCard }] : [];
  const upcoming = published?.upcomingAt(at) ?? [];
  const unchanged = new Set<number>();
  for (const { from, rateCard } of file.changes) {
    if (from <= at) continue;
    const same = upcoming.find(({ version, effectiveAt }) => {
      const known = published?.rateCard(version);
      return effectiveAt === from && known !== undefined && sameRateCard(known, rateCard);
    });
    if (same) unchanged.add(same.version);
    else added.push({ effectiveAt: from, rateCard });
  }
  const withdrawn = upcoming.filter(({ version }) => !unchanged.has(version));
  return { added, withdrawn: withdrawn.map(({ version }) => version) };
}

/**
 * Indexes of past changes that the plan, which was published at their date, never knew. Callers were not
 * told of such a price, and a mistyped year would charge it at once, so the author must correct the file.
 */
function missedChanges(file: PlanFile, { versions }: PublishedPlan, at: number): number[] {
  const since = Math.min(...versions.map(({ createdAt }) => createdAt));
  return file.changes.flatMap(({ from }, index) => {
    const known = from < since || versions.some(({ effectiveAt }) => effectiveAt === from);
    return from <= at && !known ? [index] : [];
  });
}
