/** PlanService: the plans and their rate cards, as loaded from the plan files. */
import { Failure } from '../failure.ts';
import type { PlanServiceServer } from '../gen/billing/v1/plan_service.ts';
import { rateCardVersionUnknown } from '../ledger/asked.ts';
import { unary } from './call.ts';
import { Check } from './check.ts';
import { planMessage, rateCardMessage } from './plan-messages.ts';
import type { ServiceContext } from './service-context.ts';

const service = 'billing.v1.PlanService';

export function planService(context: ServiceContext): PlanServiceServer {
  const { catalogue } = context;
  return {
    listPlans: unary(context, `${service}/ListPlans`, async () => ({
      response: { plans: catalogue.all().map(planMessage) },
    })),

    getPlan: unary(context, `${service}/GetPlan`, async (request) => {
      const check = new Check();
      const planId = check.name('plan_id', request.planId);
      const asked = check.rateCardVersion(request.rateCardVersion);
      check.pass();
      const catalogued = await catalogue.find(planId);
      if (!catalogued)
        return new Failure('PLAN_NOT_FOUND', `there is no plan ${planId}`, { plan_id: planId });
      const version = asked ?? catalogued.plan.rateCard.version;
      const rateCard = await catalogue.rateCard(catalogued, version);
      if (!rateCard) return rateCardVersionUnknown(planId, version);
      const createdAt = catalogued.createdAt.get(version) ?? 0;
      return {
        response: {
          plan: planMessage(catalogued.plan),
          rateCard: rateCardMessage(rateCard, createdAt),
        },
      };
    }),
  };
}
