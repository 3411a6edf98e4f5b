/** Opens Stripe Checkout sessions for pending purchases. */
import type Stripe from 'stripe';
import type { StoredTrace } from '../ledger/entry.ts';
import type { CheckoutSession, Purchase } from '../ledger/purchase.ts';
import { toProviderAmount } from '../pricing/provider-amount.ts';
import { assertStripeObject, refusalCodeOf } from './stripe.ts';

/**
 * The age up to which a purchase is given a session or an intent. Stripe keeps idempotency keys for at
 * least 24 hours: until then the same key finds a session whose first response was lost.
 */
export const OPEN_AGE_MAX_MS = 23 * 3_600_000;

/**
 * By these, a webhook event leads back to its purchase, and Stripe's dashboard to the call that began it. They come
 * from what is stored: Stripe refuses a repeated request with other metadata.
 */
export const metadataOf = ({ accountId, purchaseId, method }: Purchase, began: BeganBy) => ({
  account_id: accountId,
  purchase_id: purchaseId,
  method,
  ...(began && { trace_id: began.traceId, span_id: began.spanId }),
});

/** The call that began a purchase; null: outside any trace. */
export type BeganBy = StoredTrace | null;

/** Stripe refused a request for good: `refusalCode` is its code. */
export type Refusal = { readonly refusalCode: string };

/**
 * The session of a purchase, the same one on every call: all parameters come from the purchase, and its
 * id is the idempotency key. Throws errors that say nothing of the purchase, such as an outage.
 */
export async function openSession(
  stripe: Stripe,
  purchase: Purchase,
  began: BeganBy,
): Promise<CheckoutSession | Refusal> {
  const { checkout, price, purchaseId, accountId } = purchase;
  const amount = toProviderAmount(price);
  if (!checkout || amount === null) return { refusalCode: 'amount_not_representable' };
  const metadata = metadataOf(purchase, began);
  try {
    const session = await stripe.checkout.sessions.create(
      {
        mode: 'payment',
        line_items: [
          {
            quantity: 1,
            price_data: {
              currency: price.currency.toLowerCase(),
              unit_amount: Number(amount),
              product_data: { name: productName(purchase) },
            },
          },
        ],
        success_url: checkout.successUrl,
        cancel_url: checkout.cancelUrl,
        ...(checkout.customerEmail !== null && { customer_email: checkout.customerEmail }),
        client_reference_id: accountId,
        // Refunds must be in the currency of the price: credits are taken back by the refunded share.
        adaptive_pricing: { enabled: false },
        metadata,
        payment_intent_data: { metadata },
      },
      { idempotencyKey: purchaseId },
    );
    return toCheckoutSession(assertStripeObject(session));
  } catch (error) {
    const code = refusalCodeOf(error);
    if (code === null) throw error;
    return { refusalCode: code };
  }
}

/** One line for all packs: the price of one may have more decimals than the provider takes. */
const productName = ({ title, quantity }: Purchase): string =>
  quantity === 1 ? title : `${quantity} × ${title}`;

/** The URL of a session that is over is empty. */
export const toCheckoutSession = ({
  id,
  url,
  expires_at,
}: Stripe.Checkout.Session): CheckoutSession => ({
  sessionId: id,
  url: url ?? '',
  expiresAt: expires_at * 1_000,
});
