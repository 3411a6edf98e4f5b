/** The failure of requests that need a payment provider where none is configured. */
import { Failure } from '../../failure.ts';
import type { Command } from '../../ledger/decide.ts';
import type { ServiceContext } from '../service-context.ts';

export const noPaymentProvider = (advice: string): Failure =>
  new Failure(
    'CHECKOUT_NOT_CONFIGURED',
    `this service has no key of a payment provider: ${advice}`,
  );

/** The failure if the command switches on what only a payment provider can do, and there is none. */
export function checkPaymentProvider(
  { payments }: Pick<ServiceContext, 'payments'>,
  command: Command,
): Failure | null {
  if (payments || command.kind !== 'UpdateAccount' || !command.autoTopUp) return null;
  return noPaymentProvider('auto top-up cannot charge a saved payment method');
}
