/** Which purchase an event of Stripe is about, if it is about one of ours. */
import type Stripe from 'stripe';
import type { Subject } from './payment-snapshot.ts';

export type About = {
  readonly accountId: string;
  readonly purchaseId: string;
  readonly subject: Subject;
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Null: none of ours. Asks Stripe where the event does not say it by itself. */
export async function purchaseRefOf(stripe: Stripe, event: Stripe.Event): Promise<About | null> {
  switch (event.type) {
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded':
    case 'checkout.session.async_payment_failed':
    case 'checkout.session.expired': {
      const { id, metadata } = event.data.object;
      return purchaseOf(metadata, { sessionId: id });
    }
    case 'payment_intent.succeeded':
    case 'payment_intent.processing':
    case 'payment_intent.payment_failed':
    case 'payment_intent.canceled': {
      const { id, metadata } = event.data.object;
      // Of a checkout its session tells.
      return metadata['method'] === 'TOP_UP' ? purchaseOf(metadata, { paymentIntentId: id }) : null;
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
      return await paidBy(stripe, event.data.object.payment_intent);
    default:
      return null;
  }
}

/** Refunds and disputes do not carry what was written on the payment. */
async function paidBy(
  stripe: Stripe,
  paymentIntent: string | Stripe.PaymentIntent | null,
): Promise<About | null> {
  const id = typeof paymentIntent === 'string' ? paymentIntent : paymentIntent?.id;
  if (id === undefined) return null;
  const { metadata } = await stripe.paymentIntents.retrieve(id);
  return purchaseOf(metadata, { paymentIntentId: id });
}

function purchaseOf(metadata: Stripe.Metadata | null, subject: Subject): About | null {
  const accountId = metadata?.['account_id'];
  const purchaseId = metadata?.['purchase_id'];
  if (!accountId || !purchaseId || !UUID.test(purchaseId)) return null;
  return { accountId, purchaseId, subject };
}
