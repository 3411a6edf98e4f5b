/** Which plans an account had in a month: they decide how it is priced, and how late its usage may be. */
import type { Book } from './book.ts';
import type { Period } from './periods/period.ts';

/** An entry by which an account left a plan. */
export type PlanLeft = { readonly at: number; readonly planId: string };

/** The plans that the account has left, the newest first: those that were loaded, and those of this unit of work. */
export function plansLeftOf({ changes, plansLeft }: Book): readonly PlanLeft[] {
  const leftNow = changes.entries.flatMap(({ at, previousPlanId: planId }) =>
    planId === null ? [] : { at, planId },
  );
  return leftNow.length > 0 ? [...leftNow.toReversed(), ...plansLeft] : plansLeft;
}

/**
 * The plans that an account had in a month, the newest first: the one at its end, and those that it left before. `planId` is
 * its plan now. `left` are the plans that it has left since the month began, the newest first.
 */
export const plansIn = (
  planId: string,
  left: readonly PlanLeft[],
  { from, until }: Period,
): readonly [atEnd: string, ...before: string[]] => [
  left.findLast(({ at }) => at >= until)?.planId ?? planId,
  ...left.filter(({ at }) => at >= from && at < until).map((one) => one.planId),
];
