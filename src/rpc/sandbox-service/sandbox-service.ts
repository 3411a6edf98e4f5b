/** SandboxService: its RPCs. It is registered in a sandbox only. */

import { Failure } from '../../failure.ts';
import {
  ActOnPaymentRequest_Action as Action,
  type ActOnPaymentRequest,
  type ActOnPaymentResponse,
  type AdvanceClockRequest,
  type AdvanceClockResponse,
  type GetClockRequest,
  type GetClockResponse,
  type ListPaymentsRequest,
  type ListPaymentsResponse,
  type SandboxServiceServer,
} from '../../gen/sandbox/v1/sandbox_service.ts';
import { invalidField } from '../../ledger/failures.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { handlersOf } from '../call/handlers.ts';
import { durationMessage } from '../messages/time.ts';
import type { ServiceContext } from '../service-context.ts';

/** How far one call may move the clock. */
const ADVANCE_MAX_MS = 3_653 * 86_400_000;

export function sandboxService(context: ServiceContext, sandbox: Sandbox): SandboxServiceServer {
  const { unary } = handlersOf(context, 'sandbox.v1.SandboxService');
  return {
    getClock: unary<GetClockRequest, GetClockResponse>('GetClock', async () => ({
      time: new Date(sandbox.now()),
      moved: durationMessage(sandbox.movedMs),
    })),
    advanceClock: unary<AdvanceClockRequest, AdvanceClockResponse>('AdvanceClock', (_, request) =>
      advanceClock(sandbox, request),
    ),
    actOnPayment: unary<ActOnPaymentRequest, ActOnPaymentResponse>('ActOnPayment', (_, request) =>
      actOnPayment(sandbox, request),
    ),
    listPayments: unary<ListPaymentsRequest, ListPaymentsResponse>('ListPayments', async () => ({
      payments: [...(await sandbox.payments())],
    })),
  };
}

async function advanceClock(
  sandbox: Sandbox,
  request: AdvanceClockRequest,
): Promise<AdvanceClockResponse> {
  const check = new FieldChecker();
  const until = check.instant('until', request.until);
  const since = check.instant('since', request.since);
  const now = sandbox.now();
  if (until === null) check.addViolation('until', 'is required');
  // Of a call that goes on, another one may have arrived there.
  else if (until <= now && since === null)
    check.addViolation(
      'until',
      `must be after ${new Date(now).toISOString()}, the time of the sandbox: its clock only moves forwards`,
    );
  else if (until > now + ADVANCE_MAX_MS)
    check.addViolation('until', 'must be at most 10 years after the time of the sandbox');
  check.throwIfInvalid();
  const move = await sandbox.advance(until ?? now);
  const happenings = await sandbox.happenings(since ?? move.before, move.now);
  return {
    fromTime: new Date(move.before),
    time: new Date(move.now),
    isReached: move.isReached,
    happenings: happenings.map(({ firstAt, lastAt, ...happening }) => ({
      ...happening,
      firstAt: new Date(firstAt),
      lastAt: new Date(lastAt),
    })),
  };
}

const ACTIONS = new Map([
  [Action.PAY, 'PAY'],
  [Action.DECLINE, 'DECLINE'],
  [Action.REFUND, 'REFUND'],
  [Action.DISPUTE, 'DISPUTE'],
  [Action.WIN_DISPUTE, 'WIN_DISPUTE'],
  [Action.LOSE_DISPUTE, 'LOSE_DISPUTE'],
] as const);

async function actOnPayment(
  sandbox: Sandbox,
  request: ActOnPaymentRequest,
): Promise<ActOnPaymentResponse> {
  const check = new FieldChecker();
  const purchaseId = check.purchaseId(request.purchaseId);
  const action = ACTIONS.get(request.action as never);
  if (!action) check.addViolation('action', 'must be a known action');
  check.throwIfInvalid();
  const acted = await sandbox.act(purchaseId, action ?? 'PAY');
  if (acted === null) throw paymentNotFound(purchaseId);
  if (typeof acted === 'string')
    throw invalidField('action', `cannot be done: the purchase ${acted}`);
  return acted;
}

const paymentNotFound = (purchaseId: string): Failure =>
  new Failure(
    'PURCHASE_NOT_FOUND',
    `the test payment provider knows no payment of a purchase ${purchaseId}`,
    { purchase_id: purchaseId },
  );
