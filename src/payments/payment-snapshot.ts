/**
 * What Stripe says of a purchase, read from the objects themselves. An event is only a reason to look:
 * the objects say how things are now, and never come late or out of order.
 */
import type Stripe from 'stripe';
import type { DisputeState, PaymentSnapshot, Purchase } from '../ledger/purchase.ts';
import { sessionOf } from './checkout.ts';
import { answered } from './stripe.ts';
import { decimalOfStripe } from './stripe-amount.ts';

/** What to look at; nothing: what the purchase itself names. */
export type Subject = { readonly sessionId?: string; readonly paymentIntentId?: string };

export const PENDING_SNAPSHOT: PaymentSnapshot = {
  session: null,
  paymentIntentId: null,
  payment: 'PENDING',
  failureCode: '',
  paid: 0n,
  refunded: 0n,
  amountRefunded: '0',
  dispute: 'NONE',
};

/** Null where there is nothing to look at yet. */
export async function fetchSnapshot(
  stripe: Stripe,
  purchase: Purchase,
  { sessionId, paymentIntentId }: Subject,
): Promise<PaymentSnapshot | null> {
  if (sessionId !== undefined) return await fetchBySession(stripe, purchase, sessionId);
  if (paymentIntentId !== undefined) return await fetchByIntent(stripe, purchase, paymentIntentId);
  if (purchase.session) return await fetchBySession(stripe, purchase, purchase.session.sessionId);
  if (purchase.paymentIntentId === null) return null;
  return await fetchByIntent(stripe, purchase, purchase.paymentIntentId);
}

async function fetchBySession(
  stripe: Stripe,
  purchase: Purchase,
  id: string,
): Promise<PaymentSnapshot> {
  const found = answered(
    await stripe.checkout.sessions.retrieve(id, { expand: ['payment_intent.latest_charge'] }),
  );
  const intent = expanded(found.payment_intent);
  const payment = paymentOfSession(found, intent);
  const snapshot = {
    ...PENDING_SNAPSHOT,
    session: sessionOf(found),
    paymentIntentId: intent?.id ?? null,
    payment,
    failureCode: payment === 'FAILED' ? failureCodeOf(intent) : '',
    paid: BigInt(found.amount_total ?? 0),
  };
  return payment === 'PAID' && intent
    ? { ...snapshot, ...(await moneyOf(stripe, purchase, intent)) }
    : snapshot;
}

async function fetchByIntent(
  stripe: Stripe,
  purchase: Purchase,
  id: string,
): Promise<PaymentSnapshot> {
  const intent = answered(await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] }));
  const payment = paymentOfIntent(purchase, intent);
  const snapshot = {
    ...PENDING_SNAPSHOT,
    paymentIntentId: intent.id,
    payment,
    failureCode: payment === 'FAILED' ? failureCodeOf(intent) : '',
  };
  return payment === 'PAID'
    ? { ...snapshot, ...(await moneyOf(stripe, purchase, intent)) }
    : snapshot;
}

function paymentOfSession(
  { status, payment_status }: Stripe.Checkout.Session,
  intent: Stripe.PaymentIntent | null,
): PaymentSnapshot['payment'] {
  if (payment_status === 'paid' || payment_status === 'no_payment_required') return 'PAID';
  if (status === 'expired') return 'EXPIRED';
  // While the session is open the customer may try another card.
  return status === 'complete' && intent && hasFailed(intent) ? 'FAILED' : 'PENDING';
}

function paymentOfIntent(
  { method }: Purchase,
  intent: Stripe.PaymentIntent,
): PaymentSnapshot['payment'] {
  if (intent.status === 'succeeded') return 'PAID';
  // Of a checkout it is the session that says whether it is over.
  return method === 'TOP_UP' && hasFailed(intent) ? 'FAILED' : 'PENDING';
}

/** One that was never tried requires a payment method, too. */
const hasFailed = ({ status, last_payment_error }: Stripe.PaymentIntent): boolean =>
  status === 'canceled' || (status === 'requires_payment_method' && last_payment_error !== null);

function failureCodeOf(intent: Stripe.PaymentIntent | null): string {
  const error = intent?.last_payment_error;
  return error?.decline_code || error?.code || intent?.cancellation_reason || 'failed';
}

async function moneyOf(
  stripe: Stripe,
  { price }: Purchase,
  intent: Stripe.PaymentIntent,
): Promise<Pick<PaymentSnapshot, 'paid' | 'refunded' | 'amountRefunded' | 'dispute'>> {
  const charge = expanded(intent.latest_charge);
  if (!charge)
    return { paid: BigInt(intent.amount), refunded: 0n, amountRefunded: '0', dispute: 'NONE' };
  const refunded = BigInt(charge.amount_refunded);
  const currency = charge.currency.toUpperCase();
  if (refunded > 0n && currency !== price.currency)
    throw new Error(`charge ${charge.id} is in ${currency}, its purchase in ${price.currency}`);
  return {
    paid: BigInt(charge.amount),
    refunded,
    amountRefunded: decimalOfStripe(currency, refunded),
    dispute: charge.disputed ? await disputeOf(stripe, intent.id) : 'NONE',
  };
}

const STATES: Readonly<Record<string, DisputeState>> = {
  // An inquiry: the bank asks, and takes no money yet.
  warning_needs_response: 'NONE',
  warning_under_review: 'NONE',
  warning_closed: 'NONE',
  // Settled by a refund before it became a dispute; the refund tells itself.
  prevented: 'NONE',
  won: 'WON',
  lost: 'LOST',
};

/** Of several disputes of one payment the gravest. The money is withheld in every state not named. */
async function disputeOf(stripe: Stripe, paymentIntentId: string): Promise<DisputeState> {
  const { data } = await stripe.disputes.list({ payment_intent: paymentIntentId, limit: 100 });
  const states = data.map(({ status }) => STATES[status] ?? 'OPEN');
  const gravest: readonly DisputeState[] = ['OPEN', 'LOST', 'WON'];
  return gravest.find((state) => states.includes(state)) ?? 'NONE';
}

/** An object that was asked for with its reference. */
const expanded = <Noun extends object>(noun: string | Noun | null): Noun | null =>
  typeof noun === 'string' ? null : noun;
