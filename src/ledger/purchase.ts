/**
 * A purchase: a pack bought. It is pending until it is paid, and then makes one grant. It keeps a copy of
 * the pack's terms, so later changes of the pack or plan do not affect it.
 */
import { compareMoney, shareOf } from '../pricing/money.ts';
import type { Money, Validity } from '../pricing/plan.ts';
import type { Labels } from './entry.ts';

/**
 * PENDING ends in one of the others. FAILED and EXPIRED become PAID if the money arrives after all.
 * MISMATCHED: a payment differs from the order, and granted nothing; an operator makes it PAID or REJECTED.
 */
export type PurchaseState = 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED' | 'MISMATCHED' | 'REJECTED';
/** Paid elsewhere; at the provider's checkout; or charged to a saved payment method. */
export type PurchaseMethod = 'REFERENCE' | 'CHECKOUT' | 'TOP_UP';
export type DisputeState = 'NONE' | 'OPEN' | 'WON' | 'LOST';

/** What the buyer gives for the provider's checkout. */
export type CheckoutTerms = {
  readonly successUrl: string;
  readonly cancelUrl: string;
  /** Null: the provider asks for it. */
  readonly customerEmail: string | null;
};

/** A payment method that the customer saved at the provider, to be charged off-session. */
export type SavedMethod = { readonly customer: string; readonly paymentMethod: string };

export type CheckoutSession = {
  readonly sessionId: string;
  readonly url: string;
  readonly expiresAt: number;
};

/** An operator's decision about a payment that differs from the order. */
export type Resolution = {
  readonly decision: 'ACCEPTED' | 'REJECTED';
  /** Who decided, and why. */
  readonly caller: string;
  readonly reason: string;
  readonly at: number;
};

export type Purchase = {
  readonly accountId: string;
  readonly purchaseId: string;
  readonly packId: string;
  readonly title: string;
  /** Packs bought: 1, or more by a top-up. */
  readonly quantity: number;
  /** Of all packs together, as is the price. */
  readonly credits: bigint;
  readonly price: Money;
  readonly validity: Validity;
  readonly method: PurchaseMethod;
  state: PurchaseState;
  /** REFERENCE: order or invoice number of the payment, unique per account; otherwise null. */
  readonly paymentReference: string | null;
  /** Who bought it, under which request id; empty for the service itself. */
  readonly caller: string;
  readonly requestId: string;
  readonly labels: Labels;
  /** CHECKOUT; otherwise null. */
  readonly checkout: CheckoutTerms | null;
  /** TOP_UP; otherwise null. */
  readonly savedMethod: SavedMethod | null;
  session: CheckoutSession | null;
  paymentIntentId: string | null;
  /** Why it is FAILED, as the provider's code; otherwise empty. */
  failureCode: string;
  grantId: bigint | null;
  readonly createdAt: number;
  paidAt: number | null;
  /** What was paid at the provider. Null until then, and for a payment elsewhere. */
  amountPaid: Money | null;
  /** Money refunded of that, an exact decimal in its currency. */
  amountRefunded: string;
  disputeState: DisputeState;
  /** Null unless the payment differed from the order and an operator has decided. */
  resolution: Resolution | null;
  /** Credits taken back for refunds and disputes, less those reinstated. */
  creditsClawedBack: bigint;
  /** Credits that should have been taken back and were already spent or reserved. */
  creditsUnrecovered: bigint;
  /** What the account came to owe of those: credits that were used. */
  creditsOwed: bigint;
  /**
   * Incremented whenever the provider's state is applied or the service ends the purchase itself. A
   * snapshot that was read at an older version is stale.
   */
  syncVersion: number;
  /** When the reconciler asks the provider next; null once it is not pending. */
  nextCheckAt: number | null;
};

/** The state of a purchase at the payment provider, read at one moment. */
export type PaymentSnapshot = {
  /** Null: the session was not read. */
  readonly session: CheckoutSession | null;
  readonly paymentIntentId: string | null;
  readonly payment: 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED';
  /** Why the payment failed; empty unless it did. */
  readonly failureCode: string;
  /** Money paid. Null unless the payment is PAID. */
  readonly amountPaid: Money | null;
  /** Money refunded of that, an exact decimal in its currency. */
  readonly amountRefunded: string;
  readonly dispute: DisputeState;
};

const MINUTE_MS = 60_000;

/**
 * When to ask the provider about a pending purchase again: after half the purchase's age, at least a
 * minute, and right after its session has expired.
 */
export function computeNextCheckAt({ createdAt, session }: Purchase, now: number): number {
  const later = now + Math.max(MINUTE_MS, Math.ceil((now - createdAt) / 2));
  const afterSession = session ? session.expiresAt + MINUTE_MS : later;
  return afterSession > now ? Math.min(afterSession, later) : later;
}

/**
 * Credits of a purchase that refunds and disputes claim: the share that the refunded money bought,
 * rounded down once over all refunds; all credits while a dispute is open and after it is lost.
 */
export function creditsToClawBack(
  credits: bigint,
  {
    amountPaid,
    amountRefunded,
    dispute,
  }: Pick<PaymentSnapshot, 'amountPaid' | 'amountRefunded' | 'dispute'>,
): bigint {
  if (dispute === 'OPEN' || dispute === 'LOST') return credits;
  return shareOf(credits, amountRefunded, amountPaid?.amount ?? '0');
}

/** Whether a payment of this amount pays the order: not less, not more, and in its currency. */
export const paysOrder = ({ price }: Purchase, amountPaid: Money | null): boolean =>
  amountPaid !== null && compareMoney(amountPaid, price) === 0;

/** Whether a payment of the purchase has arrived. Any other payment is a second one. */
export const hasPayment = ({ state }: Purchase): boolean =>
  state === 'PAID' || state === 'MISMATCHED' || state === 'REJECTED';
