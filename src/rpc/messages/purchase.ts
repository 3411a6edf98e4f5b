/** Purchases as messages. */
import {
  Purchase_DisputeState,
  Purchase_Method,
  Purchase_Resolution_Decision,
  Purchase_State,
  type Purchase as PurchaseMessage,
} from '../../gen/billing/v1/ledger.ts';
import type { Grant } from '../../ledger/grant.ts';
import type { Purchase, Resolution } from '../../ledger/purchase.ts';
import { mapOf } from '../../map-of.ts';
import { divideMoney, trimZeros } from '../../pricing/money.ts';
import { optionalInstant } from './time.ts';

/** `grant` is the one that the purchase made, as it is now; null if it has made none. */
export const purchaseMessage = (purchase: Purchase, grant: Grant | null): PurchaseMessage => ({
  purchaseId: purchase.purchaseId,
  accountId: purchase.accountId,
  packId: purchase.packId,
  credits: purchase.credits,
  price: purchase.price,
  state: Purchase_State[purchase.state],
  paymentReference: purchase.paymentReference ?? '',
  grantId: purchase.grantId ?? 0n,
  createdAt: new Date(purchase.createdAt),
  paidAt: optionalInstant(purchase.paidAt),
  method: Purchase_Method[purchase.method],
  checkoutUrl: purchase.state === 'PENDING' ? (purchase.session?.url ?? '') : '',
  remaining: grant?.remaining ?? 0n,
  expiresAt: optionalInstant(grant?.expiresAt ?? null),
  pricePerCredit: divideMoney(purchase.price, purchase.credits),
  amountPaid: purchase.amountPaid ?? undefined,
  amountRefunded: trimZeros({
    ...(purchase.amountPaid ?? purchase.price),
    amount: purchase.amountRefunded,
  }),
  creditsClawedBack: purchase.creditsClawedBack,
  creditsUnrecovered: purchase.creditsUnrecovered,
  creditsOwed: purchase.creditsOwed,
  disputeState: Purchase_DisputeState[purchase.disputeState],
  failureCode: purchase.failureCode,
  title: purchase.title,
  labels: mapOf(purchase.labels),
  quantity: purchase.quantity,
  resolution: purchase.resolution ? resolutionMessage(purchase.resolution) : undefined,
});

const resolutionMessage = ({ decision, caller, reason, at }: Resolution) => ({
  decision: Purchase_Resolution_Decision[decision],
  caller,
  reason,
  at: new Date(at),
});
