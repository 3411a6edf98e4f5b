/**
 * Fetches the state of a purchase's payment from Stripe's objects. Events are not evaluated: they come
 * late, repeated or out of order, while an object shows the present state.
 */
import type Stripe from 'stripe';
import type { DisputeState, PaymentSnapshot, Purchase } from '../ledger/purchase.ts';
import type { Money } from '../pricing/plan.ts';
import { fromProviderAmount } from '../pricing/provider-amount.ts';
import { toCheckoutSession } from './checkout.ts';
import { assertStripeObject } from './stripe.ts';

/** The object to fetch. Where it names none, it is the one that the purchase names. */
export type PaymentRef = { readonly sessionId?: string; readonly paymentIntentId?: string };

/** A payment of which nothing is known yet. */
export const PENDING_SNAPSHOT: PaymentSnapshot = {
  session: null,
  paymentIntentId: null,
  payment: 'PENDING',
  failureCode: '',
  amountPaid: null,
  amountRefunded: '0',
  dispute: 'NONE',
};

/** Null where Stripe has nothing of the purchase yet. Throws the errors of the client library. */
export async function fetchSnapshot(
  stripe: Stripe,
  purchase: Purchase,
  { sessionId, paymentIntentId }: PaymentRef,
): Promise<PaymentSnapshot | null> {
  if (sessionId !== undefined) return await fetchBySession(stripe, sessionId);
  if (paymentIntentId !== undefined) return await fetchByIntent(stripe, purchase, paymentIntentId);
  if (purchase.session) return await fetchBySession(stripe, purchase.session.sessionId);
  if (purchase.paymentIntentId === null) return null;
  return await fetchByIntent(stripe, purchase, purchase.paymentIntentId);
}

async function fetchBySession(stripe: Stripe, id: string): Promise<PaymentSnapshot> {
  const session = assertStripeObject(
    await stripe.checkout.sessions.retrieve(id, { expand: ['payment_intent.latest_charge'] }),
  );
  const intent = expanded(session.payment_intent);
  const payment = paymentOfSession(session, intent);
  const snapshot = {
    ...PENDING_SNAPSHOT,
    session: toCheckoutSession(session),
    paymentIntentId: intent?.id ?? null,
    payment,
    failureCode: payment === 'FAILED' ? failureCodeOf(intent) : '',
  };
  if (payment !== 'PAID') return snapshot;
  // A session without an intent cost nothing, for example after a discount of 100 percent.
  return intent
    ? { ...snapshot, ...(await fetchMoney(stripe, intent)) }
    : { ...snapshot, amountPaid: toMoney(session.currency ?? '', session.amount_total ?? 0) };
}

async function fetchByIntent(
  stripe: Stripe,
  purchase: Purchase,
  id: string,
): Promise<PaymentSnapshot> {
  const intent = assertStripeObject(
    await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] }),
  );
  const payment = paymentOfIntent(purchase, intent);
  const snapshot = {
    ...PENDING_SNAPSHOT,
    paymentIntentId: intent.id,
    payment,
    failureCode: payment === 'FAILED' ? failureCodeOf(intent) : '',
  };
  return payment === 'PAID' ? { ...snapshot, ...(await fetchMoney(stripe, intent)) } : snapshot;
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
  // Whether a checkout has failed is decided by its session.
  return method === 'TOP_UP' && hasFailed(intent) ? 'FAILED' : 'PENDING';
}

/** An intent that was never attempted requires a payment method, too, but has no error. */
const hasFailed = ({ status, last_payment_error }: Stripe.PaymentIntent): boolean =>
  status === 'canceled' || (status === 'requires_payment_method' && last_payment_error !== null);

function failureCodeOf(intent: Stripe.PaymentIntent | null): string {
  const error = intent?.last_payment_error;
  return error?.decline_code || error?.code || intent?.cancellation_reason || 'failed';
}

/** What was paid, refunded and disputed of a payment that has succeeded. */
async function fetchMoney(
  stripe: Stripe,
  intent: Stripe.PaymentIntent,
): Promise<Pick<PaymentSnapshot, 'amountPaid' | 'amountRefunded' | 'dispute'>> {
  const charge = expanded(intent.latest_charge);
  if (!charge)
    return {
      amountPaid: toMoney(intent.currency, intent.amount_received),
      amountRefunded: '0',
      dispute: 'NONE',
    };
  return {
    amountPaid: toMoney(charge.currency, charge.amount_captured),
    amountRefunded: toMoney(charge.currency, charge.amount_refunded).amount,
    dispute: charge.disputed ? await fetchDisputeState(stripe, intent.id) : 'NONE',
  };
}

function toMoney(stripeCurrency: string, units: number): Money {
  const currency = stripeCurrency.toUpperCase();
  return { currency, amount: fromProviderAmount(currency, BigInt(units)) };
}

/** By Stripe's dispute status. In every status that is not listed the money is withheld: OPEN. */
const DISPUTE_STATES: Readonly<Record<string, DisputeState>> = {
  // Inquiries: the bank asks for information and takes no money yet.
  warning_needs_response: 'NONE',
  warning_under_review: 'NONE',
  warning_closed: 'NONE',
  // Refunded before it became a dispute: the refund itself is counted.
  prevented: 'NONE',
  won: 'WON',
  lost: 'LOST',
};

/** Of several disputes of one payment, the state that withholds the most decides. */
async function fetchDisputeState(stripe: Stripe, paymentIntentId: string): Promise<DisputeState> {
  const { data } = await stripe.disputes.list({ payment_intent: paymentIntentId, limit: 100 });
  const states = data.map(({ status }) => DISPUTE_STATES[status] ?? 'OPEN');
  const precedence: readonly DisputeState[] = ['OPEN', 'LOST', 'WON'];
  return precedence.find((state) => states.includes(state)) ?? 'NONE';
}

/** An object that Stripe was asked to expand; null where it returned only the id, or nothing. */
const expanded = <Expandable extends object>(
  field: string | Expandable | null,
): Expandable | null => (typeof field === 'string' ? null : field);
