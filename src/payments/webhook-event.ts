/** Reads Stripe's events, and finds the purchase that one of them concerns. */
import type Stripe from 'stripe';
import { z } from 'zod';
import type { StoredTrace } from '../ledger/entry.ts';
import { isSpan } from '../telemetry/tracing.ts';
import type { PaymentRef } from './payment-snapshot.ts';

export type PurchaseRef = {
  readonly accountId: string;
  readonly purchaseId: string;
  /** The object of the event. */
  readonly paymentRef: PaymentRef;
  /** The call that began the purchase; null: unknown. */
  readonly began: StoredTrace | null;
};

/** What every event has. */
const EVENT = z.looseObject({
  id: z.string(),
  type: z.string(),
  data: z.looseObject({
    object: z.looseObject({
      id: z.string().optional(),
      metadata: z.record(z.string(), z.string()).nullish(),
      payment_intent: z.union([z.string(), z.looseObject({ id: z.string() })]).nullish(),
    }),
  }),
});

/** Whether a body that Stripe has signed is an event that this service can read. */
export const isEvent = (body: unknown): body is Stripe.Event => EVENT.safeParse(body).success;

const ACCOUNT_ID = /^[\x21-\x7e]{1,128}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A purchase that was imported with its payment, which another system had made; null: there is none. */
export type FindImported = (paymentIntentId: string) => Promise<ImportedRef | null>;
export type ImportedRef = Pick<PurchaseRef, 'accountId' | 'purchaseId'>;

/** Null where the event concerns no purchase of ours. Asks Stripe where the event itself does not say. */
export async function purchaseRefOf(
  stripe: Stripe,
  findImported: FindImported,
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
      return metadata?.['method'] === 'TOP_UP'
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
      return await purchaseRefOfIntent(stripe, findImported, event.data.object.payment_intent);
    default:
      return null;
  }
}

/** Refunds and disputes do not carry the metadata of their payment. */
async function purchaseRefOfIntent(
  stripe: Stripe,
  findImported: FindImported,
  paymentIntent: string | Stripe.PaymentIntent | null,
): Promise<PurchaseRef | null> {
  const id = typeof paymentIntent === 'string' ? paymentIntent : paymentIntent?.id;
  if (id === undefined) return null;
  // Of the payments of another system, the metadata are its own.
  const imported = await findImported(id);
  if (imported) return { ...imported, paymentRef: { paymentIntentId: id }, began: null };
  const { metadata } = await stripe.paymentIntents.retrieve(id);
  return toPurchaseRef(metadata, { paymentIntentId: id });
}

function toPurchaseRef(
  metadata: Stripe.Metadata | null,
  paymentRef: PaymentRef,
): PurchaseRef | null {
  const accountId = metadata?.['account_id'];
  const purchaseId = metadata?.['purchase_id'];
  if (!accountId || !ACCOUNT_ID.test(accountId)) return null;
  if (!purchaseId || !UUID.test(purchaseId)) return null;
  if (Object.values(paymentRef).some((id) => id === undefined)) return null;
  return { accountId, purchaseId, paymentRef, began: beganBy(metadata) };
}

/** As `metadataOf` has written it. */
function beganBy(metadata: Stripe.Metadata): StoredTrace | null {
  const { trace_id: traceId = '', span_id: spanId = '' } = metadata;
  return isSpan({ traceId, spanId }) ? { traceId, spanId } : null;
}
