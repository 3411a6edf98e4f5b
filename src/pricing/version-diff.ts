/**
 * What publishing a plan file does to the prices of its plan: from that moment on they are what the file
 * says, and what they were before stays as it was. So publishing a file again does nothing, and a change
 * ahead can be altered or dropped until its date.
 */
import { type PlanFile, type RateCard, rateCardAt } from './plan.ts';
import { sameRateCard } from './plan-file/plan-json.ts';
import type { PublishedPlan } from './published-plan.ts';

export type VersionDiff = {
  /** New versions, to be numbered in this order. */
  readonly added: readonly { readonly effectiveAt: number; readonly rateCard: RateCard }[];
  /** Versions that will not come into force. */
  readonly withdrawn: readonly number[];
};

/**
 * `before` is the plan as it stands, with the rate cards in force at `at` and later; null where it is
 * new. `at` is the moment of publishing. Of a file that may not be published, why not.
 */
export function diffVersions(
  filed: PlanFile,
  before: PublishedPlan | null,
  at: number,
): VersionDiff | { readonly missed: readonly number[] } {
  const wanted = rateCardAt(filed, at);
  const inForce = before?.planAt(at).rateCard;
  const changed = inForce === undefined || !sameRateCard(inForce, wanted);
  const missed = before && changed ? missedChanges(filed, before, at) : [];
  if (missed.length > 0) return { missed };

  const added = changed ? [{ effectiveAt: at, rateCard: wanted }] : [];
  const kept = new Set<number>();
  for (const { from, rateCard } of filed.changes) {
    if (from <= at) continue;
    const same = before?.upcomingAt(at).find(({ version, effectiveAt }) => {
      const known = before.rateCard(version);
      return effectiveAt === from && known !== undefined && sameRateCard(known, rateCard);
    });
    if (same) kept.add(same.version);
    else added.push({ effectiveAt: from, rateCard });
  }
  const upcoming = before?.upcomingAt(at) ?? [];
  const dropped = upcoming.filter(({ version }) => !kept.has(version));
  return { added, withdrawn: dropped.map(({ version }) => version) };
}

/**
 * Places of changes that a plan which was there at their date never knew of. Nobody was told of such a
 * price, and a year mistyped would charge it at once: its author has to say what he means.
 */
function missedChanges(filed: PlanFile, { versions }: PublishedPlan, at: number): number[] {
  const since = Math.min(...versions.map(({ createdAt }) => createdAt));
  return filed.changes.flatMap(({ from }, index) => {
    const known = from < since || versions.some(({ effectiveAt }) => effectiveAt === from);
    return from <= at && !known ? [index] : [];
  });
}
