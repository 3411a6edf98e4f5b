/** OperatorService: its RPCs, each with the function that serves it. */
import type { OperatorServiceServer } from '../../gen/billing/v1/operator_service.ts';
import { handlersOf } from '../call/handlers.ts';
import type { SharedContext } from '../service-context.ts';
import { listRefusals } from './refusals.ts';
import { listStuckReservations } from './stuck-reservations.ts';
import { traceCharge } from './trace-charge.ts';

export function operatorService(context: SharedContext): OperatorServiceServer {
  const { unary } = handlersOf(context, 'billing.v1.OperatorService');
  return {
    traceCharge: unary('TraceCharge', traceCharge),
    listStuckReservations: unary('ListStuckReservations', listStuckReservations),
    listRefusals: unary('ListRefusals', listRefusals),
  };
}
