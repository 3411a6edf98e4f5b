/** PlanService: the plans and their rate cards, as loaded from the plan files. */
import type { PlanServiceServer } from '../../gen/billing/v1/plan_service.ts';
import { planNotFound, rateCardVersionUnknown } from '../../ledger/failures.ts';
import { Check } from '../call/field-checker.ts';
import { unary } from '../call/handler.ts';
import { planMessage, rateCardMessage } from '../messages/plan.ts';
import type { ServiceContext } from '../service-context.ts';

const service = 'billing.v1.PlanService';

export function planService(context: ServiceContext): PlanServiceServer {
  const { catalogue, clock } = context;
  return {
    listPlans: unary(context, `${service}/ListPlans`, async () => {
      const now = clock();
      const plans = await catalogue.all(now);
      return { response: { plans: plans.map((plan) => planMessage(plan, now)) } };
    }),

    getPlan: unary(context, `${service}/GetPlan`, async (request) => {
      const check = new Check();
      const planId = check.name('plan_id', request.planId);
      const asked = check.rateCardVersion(request.rateCardVersion);
      check.pass();
      const now = clock();
      const plan = await catalogue.find(planId, now);
      if (!plan) return planNotFound(planId);
      const version = asked ?? plan.versionAt(now);
      const rateCard = await catalogue.rateCard(plan, version);
      const dated = plan.version(version);
      if (!rateCard || !dated) return rateCardVersionUnknown(planId, version);
      return {
        response: { plan: planMessage(plan, now), rateCard: rateCardMessage(rateCard, dated) },
      };
    }),
  };
}
