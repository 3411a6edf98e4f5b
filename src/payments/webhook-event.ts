/** Finds the purchase that one of Stripe's events concerns. */
import type Stripe from 'stripe';
import type { PaymentRef } from './payment-snapshot.ts';

export type PurchaseRef = {
  readonly accountId: string;
  readonly purchaseId: string;
  /** The object of the event. */
  readonly paymentRef: PaymentRef;
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Null where the event concerns no purchase of ours. Asks Stripe where the event itself does not say. */
export async function purchaseRefOf(
  stripe: Stripe,
  event: Stripe.Event,
): Promise<PurchaseRef | null> {
  switch (event.type) {
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded':
    case 'checkout.session.async_payment_failed':
    case 'checkout.session.expired': {
      const { id, metadata } = event.data.object;
      return toPurchaseRef(metadata, { sessionId: id });
    }
    case 'payment_intent.succeeded':
    case 'payment_intent.processing':
    case 'payment_intent.payment_failed':
    case 'payment_intent.canceled': {
      const { id, metadata } = event.data.object;
      // The state of a checkout is that of its session, which has events of its own.
      return metadata['method'] === 'TOP_UP'
        ? toPurchaseRef(metadata, { paymentIntentId: id })
        : null;
    }
    case 'charge.refunded':
    case 'charge.refund.updated':
    case 'refund.updated':
    case 'refund.failed':
    case 'charge.dispute.created':
    case 'charge.dispute.updated':
    case 'charge.dispute.closed':
    case 'charge.dispute.funds_withdrawn':
    case 'charge.dispute.funds_reinstated':
      return await purchaseRefOfIntent(stripe, event.data.object.payment_intent);
    default:
      return null;
  }
}

/** Refunds and disputes do not carry the metadata of their payment. */
async function purchaseRefOfIntent(
  stripe: Stripe,
  paymentIntent: string | Stripe.PaymentIntent | null,
): Promise<PurchaseRef | null> {
  const id = typeof paymentIntent === 'string' ? paymentIntent : paymentIntent?.id;
  if (id === undefined) return null;
  const { metadata } = await stripe.paymentIntents.retrieve(id);
  return toPurchaseRef(metadata, { paymentIntentId: id });
}

function toPurchaseRef(
  metadata: Stripe.Metadata | null,
  paymentRef: PaymentRef,
): PurchaseRef | null {
  const accountId = metadata?.['account_id'];
  const purchaseId = metadata?.['purchase_id'];
  if (!accountId || !purchaseId || !UUID.test(purchaseId)) return null;
  return { accountId, purchaseId, paymentRef };
}
