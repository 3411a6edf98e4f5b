/** Opens Stripe Checkout sessions for pending purchases. */
import type Stripe from 'stripe';
import type { CheckoutSession, Purchase } from '../ledger/purchase.ts';
import { answered, refusalOf } from './stripe.ts';
import { stripeAmount } from './stripe-amount.ts';

/**
 * For so long after its making a purchase can be given a session. Stripe keeps idempotency keys for 24
 * hours at least: until then a session that was made and then lost is found again by the same key.
 */
export const OPEN_MAX_MS = 23 * 3_600_000;

export const metadataOf = ({ accountId, purchaseId, method }: Purchase) => ({
  account_id: accountId,
  purchase_id: purchaseId,
  method,
});

/** What was refused, in Stripe's words. */
export type Refused = { readonly refused: string };

/**
 * The session of a purchase, the same one however often it is asked for: everything that is sent comes
 * from the purchase, and its id is the idempotency key. Throws what says nothing of the purchase.
 */
export async function openSession(
  stripe: Stripe,
  purchase: Purchase,
): Promise<CheckoutSession | Refused> {
  const { checkout, price, purchaseId, accountId } = purchase;
  const amount = stripeAmount(price);
  if (!checkout || amount === null) return { refused: 'amount_not_representable' };
  const metadata = metadataOf(purchase);
  try {
    const session = await stripe.checkout.sessions.create(
      {
        mode: 'payment',
        line_items: [
          {
            quantity: 1,
            price_data: {
              currency: price.currency.toLowerCase(),
              unit_amount: amount,
              product_data: { name: purchase.title },
            },
          },
        ],
        success_url: checkout.successUrl,
        cancel_url: checkout.cancelUrl,
        ...(checkout.customerEmail !== null && { customer_email: checkout.customerEmail }),
        client_reference_id: accountId,
        // Paid in the currency of the price: a refunded share is then a share of the same money.
        adaptive_pricing: { enabled: false },
        metadata,
        payment_intent_data: { metadata },
      },
      { idempotencyKey: purchaseId },
    );
    return sessionOf(answered(session));
  } catch (error) {
    const refused = refusalOf(error);
    if (refused === null) throw error;
    return { refused };
  }
}

/** A session that is over has no URL any more. */
export const sessionOf = ({ id, url, expires_at }: Stripe.Checkout.Session): CheckoutSession => ({
  sessionId: id,
  url: url ?? '',
  expiresAt: expires_at * 1_000,
});
