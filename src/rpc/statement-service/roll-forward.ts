/** GetRollForward: what became of unspent credits in a month, and of what was paid for them. */
import { Grant_Category } from '../../gen/billing/v1/ledger.ts';
import type {
  GetRollForwardRequest,
  GetRollForwardResponse,
  RollForward,
  RollForwardFigure,
} from '../../gen/billing/v1/statement_service.ts';
import { formatMonth, monthStart, parseMonth } from '../../ledger/month.ts';
import { digitsOf, formatDecimal } from '../../pricing/money.ts';
import {
  type Figure,
  type RollForwardRow,
  readRollForwardSums,
  toRollForward,
} from '../../queries/roll-forward.ts';
import type { Movement } from '../../store/tables/roll-forward.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCells } from '../call/in-cell.ts';
import { sumMessage } from '../messages/sum.ts';
import type { ServiceContext } from '../service-context.ts';
import { checkMonth, isMonth } from './month.ts';
import { requirePlan } from './require-plan.ts';

/** How long a call counts what is new, before it answers. */
const COUNT_MAX_MS = 15_000;
/** Calls that were in progress at the end of a month have ended by then, whatever became of them. */
const SETTLED_AFTER_MS = 5 * 60_000;

export async function getRollForward(
  context: ServiceContext,
  request: GetRollForwardRequest,
  { access }: UnaryCall,
): Promise<GetRollForwardResponse> {
  const now = context.clock.now();
  const { month, planId } = parseRequest(request, now);
  if (planId !== null) await requirePlan(context, planId, now);
  const asked = { month, planId, scope: access.permissions.accounts };
  const timeout = AbortSignal.timeout(COUNT_MAX_MS);
  const read = await readInCells(context, '', async ({ em, rollForward }) => {
    await rollForward.countAll(() => timeout.aborted);
    return await readRollForwardSums(em(), asked, now);
  });
  const exactBefore = Math.min(...read.map((cell) => cell.exactBefore));
  const end = monthStart(parseMonth(month), 1);
  return {
    rows: toRollForward(read.flatMap(({ sums }) => sums)).map(rollForwardMessage),
    exactBefore: new Date(exactBefore),
    final: exactBefore >= end && now >= end + SETTLED_AFTER_MS,
  };
}

function parseRequest(request: GetRollForwardRequest, now: number) {
  const check = new FieldChecker();
  const month = checkMonth(check, 'month', request.month);
  if (month > formatMonth(now) && isMonth(month))
    check.addViolation('month', 'must not be after the present month');
  const planId = request.planId === '' ? null : check.name('plan_id', request.planId);
  check.throwIfInvalid();
  return { month, planId };
}

const NOTHING: Figure = { credits: 0n, amount: 0n };

function rollForwardMessage({
  planId,
  category,
  currency,
  opening,
  movements,
  closing,
}: RollForwardRow): RollForward {
  const decimal = (units: bigint) =>
    currency === '' ? '' : formatDecimal({ units, scale: digitsOf(currency) });
  const figure = ({ credits, amount }: Figure): RollForwardFigure => ({
    credits: sumMessage(credits),
    amount: decimal(amount),
  });
  const of = (movement: Movement) => movements.get(movement) ?? NOTHING;
  return {
    planId,
    category: Grant_Category[category],
    currency,
    opening: figure(opening),
    issued: figure(of('ISSUED')),
    refunded: figure(of('REFUNDED')),
    spent: figure(of('SPENT')),
    expired: figure(of('EXPIRED')),
    voided: figure(of('VOIDED')),
    clawedBack: figure(of('CLAWED_BACK')),
    moved: figure(of('MOVED')),
    corrected: figure(of('CORRECTED')),
    closing: figure(closing),
    revenue: decimal(of('SPENT').amount - of('REFUNDED').amount),
  };
}
