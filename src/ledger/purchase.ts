/** A purchase: a pack bought. It is pending until it is paid, then it makes one grant. */
import type { Money } from '../pricing/plan.ts';

export type PurchaseState = 'PENDING' | 'PAID';

export type Purchase = {
  readonly accountId: string;
  readonly purchaseId: string;
  readonly packId: string;
  readonly credits: bigint;
  readonly price: Money;
  state: PurchaseState;
  /** Order or invoice number of a payment made elsewhere, unique per account. */
  readonly paymentReference: string;
  grantId: bigint | null;
  readonly createdAt: number;
  paidAt: number | null;
};
