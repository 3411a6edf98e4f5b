/** PlanService: its RPCs, each with the function that serves it. */
import type {
  GetPlanRequest,
  GetPlanResponse,
  ListPlansRequest,
  ListPlansResponse,
  PlanServiceServer,
} from '../../gen/billing/v1/plan_service.ts';
import { planNotFound, rateCardVersionUnknown } from '../../ledger/failures.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { handlersOf } from '../call/handlers.ts';
import { planMessage } from '../messages/plan.ts';
import { rateCardMessage } from '../messages/rate-card.ts';
import type { ServiceContext, SharedContext } from '../service-context.ts';

export function planService(context: SharedContext): PlanServiceServer {
  const { unary } = handlersOf(context, 'billing.v1.PlanService');
  return {
    listPlans: unary('ListPlans', listPlans),
    getPlan: unary('GetPlan', getPlan),
  };
}

async function listPlans(
  { catalogue, clock }: ServiceContext,
  _: ListPlansRequest,
): Promise<ListPlansResponse> {
  const now = clock.now();
  const plans = await catalogue.findPlans(now);
  return { plans: plans.map((plan) => planMessage(plan, now)) };
}

async function getPlan(
  { catalogue, clock }: ServiceContext,
  request: GetPlanRequest,
): Promise<GetPlanResponse> {
  const check = new FieldChecker();
  const planId = check.name('plan_id', request.planId);
  const requestedVersion = check.rateCardVersion(request.rateCardVersion);
  check.throwIfInvalid();
  const now = clock.now();
  const plan = await catalogue.findPlan(planId, now);
  if (!plan) throw planNotFound(planId, await catalogue.findPlanIds(now));
  const version = requestedVersion ?? plan.versionAt(now);
  const rateCard = await catalogue.loadRateCard(plan, version);
  const dated = plan.version(version);
  if (!rateCard || !dated) throw rateCardVersionUnknown(planId, version);
  return { plan: planMessage(plan, now), rateCard: rateCardMessage(rateCard, dated) };
}
