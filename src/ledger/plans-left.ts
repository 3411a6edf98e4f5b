/** Which plan an account had in the past: it decides how a month is priced, and how late its usage may be. */
import type { Book } from './book.ts';

/** An entry by which an account left a plan. */
export type PlanLeft = {
  readonly seq: bigint;
  readonly at: number;
  readonly planId: string;
};

/** The plans that the account has left, the newest first: those that were loaded, and those of this unit of work. */
export function plansLeftOf({ changes, plansLeft }: Book): readonly PlanLeft[] {
  const leftNow = changes.entries.flatMap(({ seq, at, previousPlanId: planId }) =>
    planId === null ? [] : { seq, at, planId },
  );
  return leftNow.length > 0 ? [...leftNow.toReversed(), ...plansLeft] : plansLeft;
}

/** The plan that an account had right before `until`. `planId` is the one that it has now. */
export const planBefore = (planId: string, left: readonly PlanLeft[], until: number): string =>
  left.findLast(({ at }) => at >= until)?.planId ?? planId;

/**
 * The plans that an account had right before `until` and earlier, the newest first, as far as `left` tells. The first of
 * them that is postpaid prices the month that ended then.
 */
export const plansUntil = (
  planId: string,
  left: readonly PlanLeft[],
  until: number,
): readonly string[] => [
  planBefore(planId, left, until),
  ...left.filter(({ at }) => at < until).map((one) => one.planId),
];
