/** Fails where no plan has the id. */
import { planNotFound } from '../../ledger/failures.ts';
import type { ServiceContext } from '../service-context.ts';

export async function requirePlan({ catalogue }: ServiceContext, planId: string, now: number) {
  if (!(await catalogue.findPlan(planId, now)))
    throw planNotFound(planId, await catalogue.findPlanIds(now));
}
