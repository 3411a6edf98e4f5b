/**
 * A purchase: a pack bought. It is pending until it is paid, then it makes one grant. It keeps a copy
 * of all that the grant will need: what becomes of the pack or plan meanwhile does not matter.
 */
import type { Money, Validity } from '../pricing/plan.ts';
import type { Labels } from './entry.ts';

/** PENDING ends in one of the others; FAILED and EXPIRED become PAID should the money still arrive. */
export type PurchaseState = 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED';
/** Paid elsewhere; by the customer, at the provider's checkout; with a payment method that is saved. */
export type PurchaseMethod = 'REFERENCE' | 'CHECKOUT' | 'TOP_UP';
export type DisputeState = 'NONE' | 'OPEN' | 'WON' | 'LOST';

/** What the provider's checkout needs of the buyer. */
export type CheckoutTerms = {
  readonly successUrl: string;
  readonly cancelUrl: string;
  /** Null: the provider asks. */
  readonly customerEmail: string | null;
};

/** A payment method that the customer saved at the provider, to be charged without being there. */
export type SavedMethod = { readonly customer: string; readonly paymentMethod: string };

export type CheckoutSession = {
  readonly sessionId: string;
  readonly url: string;
  readonly expiresAt: number;
};

export type Purchase = {
  readonly accountId: string;
  readonly purchaseId: string;
  readonly packId: string;
  readonly title: string;
  readonly credits: bigint;
  readonly price: Money;
  readonly validity: Validity;
  readonly method: PurchaseMethod;
  state: PurchaseState;
  /** Order or invoice number of a payment made elsewhere, unique per account; else null. */
  readonly paymentReference: string | null;
  /** Who bought it, and under which request id; the service itself has none. */
  readonly caller: string;
  readonly requestId: string;
  readonly labels: Labels;
  /** Of a CHECKOUT; else null. */
  readonly checkout: CheckoutTerms | null;
  /** Of a TOP_UP; else null. */
  readonly savedMethod: SavedMethod | null;
  session: CheckoutSession | null;
  paymentIntentId: string | null;
  /** Why it is FAILED, in the provider's words. */
  failureCode: string;
  grantId: bigint | null;
  readonly createdAt: number;
  paidAt: number | null;
  /** Exact decimal, in the currency of the price. */
  amountRefunded: string;
  disputeState: DisputeState;
  /** Taken back and not given again. With those that could not be taken: all that was asked back. */
  creditsClawedBack: bigint;
  creditsUnrecovered: bigint;
  /**
   * Incremented whenever the provider's state is applied or the service ends the purchase itself. A
   * snapshot that was read at an older version is stale.
   */
  syncVersion: number;
  /** When to ask the provider again by ourselves; null once it is not pending. */
  nextCheckAt: number | null;
};

/** What the payment provider says of a purchase at one moment. */
export type PaymentSnapshot = {
  /** Null: not looked at. */
  readonly session: CheckoutSession | null;
  readonly paymentIntentId: string | null;
  readonly payment: PurchaseState;
  /** Why it failed; empty unless it did. */
  readonly failureCode: string;
  /** Money paid and, of that, refunded, in the provider's smallest unit. */
  readonly paid: bigint;
  readonly refunded: bigint;
  /** What was refunded as exact decimal, in the currency of the price. */
  readonly amountRefunded: string;
  readonly dispute: DisputeState;
};

const MINUTE_MS = 60_000;

/**
 * When a pending purchase is worth another look: in half the time it has been waiting so far, and
 * right after its session has expired.
 */
export function computeNextCheckAt({ createdAt, session }: Purchase, now: number): number {
  const later = now + Math.max(MINUTE_MS, Math.ceil((now - createdAt) / 2));
  const over = session ? session.expiresAt + MINUTE_MS : later;
  return over > now ? Math.min(over, later) : later;
}

/**
 * Credits that refunds and disputes ask back of a purchase so far: those the refunded share of the
 * money bought, rounded down once over all refunds; all of them while the payment is disputed and
 * once the dispute is lost.
 */
export function creditsToClawBack(
  credits: bigint,
  { paid, refunded, dispute }: Pick<PaymentSnapshot, 'paid' | 'refunded' | 'dispute'>,
): bigint {
  if (dispute === 'OPEN' || dispute === 'LOST') return credits;
  if (refunded === 0n) return 0n;
  return refunded >= paid ? credits : (credits * refunded) / paid;
}
