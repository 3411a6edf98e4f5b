/** The late usage of the year: which plan takes it, for how long, and how late customers report. */
import type { PlanFile } from '../../src/pricing/plan.ts';
import type { Random } from '../cluster/random.ts';
import { DAY_MS } from './calendar.ts';

export const LATE_USAGE_MS = 3 * DAY_MS;

/** The postpaid plan takes usage that is reported some days late. */
export const withLateUsage = (plan: PlanFile): PlanFile =>
  plan.terms.overage ? { ...plan, terms: { ...plan.terms, lateUsageMs: LATE_USAGE_MS } } : plan;

/** When usage that is reported now happened. Some of it is reported too late. */
export const usedBefore = (random: Random, now: number): number =>
  now - random.integer(1, Math.floor(LATE_USAGE_MS * 1.03));
