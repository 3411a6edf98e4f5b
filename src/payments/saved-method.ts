/**
 * Charges the payment method that a customer saved, without the customer being there. A purchase has
 * one payment intent however often it is tried: an intent succeeds once, so no race between attempts,
 * replicas and restarts can charge twice.
 */
import Stripe from 'stripe';
import { Failure } from '../failure.ts';
import { purchaseNotFound } from '../ledger/failures.ts';
import type { Purchase } from '../ledger/purchase.ts';
import { metadataOf, OPEN_MAX_MS, type Refused } from './checkout.ts';
import { PENDING_SNAPSHOT } from './payment-snapshot.ts';
import type { Payments, Trace } from './payments.ts';
import { answered, isUnavailable, providerUnavailable, refusalOf } from './stripe.ts';
import { stripeAmount } from './stripe-amount.ts';

/** The purchase itself has been brought up to date by then. */
export type Charged =
  | { readonly outcome: 'paid' }
  /** `code` is Stripe's: "insufficient_funds", "expired_card" … */
  | { readonly outcome: 'declined'; readonly code: string }
  /** The bank wants to see the customer: nobody can give it that off session. */
  | { readonly outcome: 'requires action' }
  /** Under way; a webhook or the reconciler will tell. */
  | { readonly outcome: 'pending' };

/**
 * Tries to charge a TOP_UP that is not paid. Repeating an attempt answers what it came to and charges
 * nothing again; after a decline take the next number: 1, 2, 3 … PAYMENT_PROVIDER_UNAVAILABLE and
 * DATABASE_UNAVAILABLE say nothing of the charge: repeat the attempt.
 */
export async function chargeSavedMethod(
  payments: Payments,
  accountId: string,
  purchaseId: string,
  attempt: number,
  now: number,
  trace: Trace,
): Promise<Charged | Failure> {
  const purchase = await payments.load(accountId, purchaseId);
  if (!purchase) return purchaseNotFound(accountId, purchaseId);
  if (purchase.state === 'PAID') return { outcome: 'paid' };
  if (purchase.state === 'EXPIRED') return { outcome: 'declined', code: 'expired' };
  try {
    const paymentIntentId =
      purchase.paymentIntentId ?? (await makeIntent(payments, purchase, now, trace));
    if (typeof paymentIntentId !== 'string') return paymentIntentId;
    const confirmed = await confirm(payments.stripe, purchase, paymentIntentId, attempt);
    if (typeof confirmed === 'object') {
      const asItIs = (await payments.load(accountId, purchaseId)) ?? purchase;
      return await giveUp(payments, asItIs, confirmed, trace);
    }
    const after = await payments.sync(accountId, purchaseId, { paymentIntentId }, trace);
    if (after instanceof Failure) return after;
    return confirmed === 'requires action' && after.state !== 'PAID'
      ? { outcome: 'requires action' }
      : chargedOf(after);
  } catch (error) {
    if (isUnavailable(error)) return providerUnavailable();
    throw error;
  }
}

function chargedOf({ state, failureCode }: Purchase): Charged {
  if (state === 'PAID') return { outcome: 'paid' };
  if (state === 'PENDING') return { outcome: 'pending' };
  if (failureCode === 'authentication_required') return { outcome: 'requires action' };
  return { outcome: 'declined', code: failureCode };
}

/** The intent's id, once it is durable: from then on it is the purchase's only one. */
async function makeIntent(
  payments: Payments,
  purchase: Purchase,
  now: number,
  trace: Trace,
): Promise<string | Charged | Failure> {
  const over = now - purchase.createdAt >= OPEN_MAX_MS;
  const made = over ? { refused: 'expired' } : await createIntent(payments.stripe, purchase);
  const observed = await payments.applySnapshot(
    purchase,
    'refused' in made
      ? { ...PENDING_SNAPSHOT, payment: over ? 'EXPIRED' : 'FAILED', failureCode: made.refused }
      : { ...PENDING_SNAPSHOT, paymentIntentId: made.id },
    trace,
  );
  if (observed instanceof Failure) return observed;
  // It has ended meanwhile: nothing is charged for it any more.
  if (!('refused' in made) && observed.purchase.state !== purchase.state)
    return chargedOf(observed.purchase);
  if ('refused' in made) return { outcome: 'declined', code: made.refused };
  return observed.purchase.paymentIntentId ?? providerUnavailable();
}

async function createIntent(
  stripe: Stripe,
  purchase: Purchase,
): Promise<{ readonly id: string } | Refused> {
  const { savedMethod, price, purchaseId, title } = purchase;
  const amount = stripeAmount(price);
  if (!savedMethod || amount === null) return { refused: 'amount_not_representable' };
  try {
    const intent = await stripe.paymentIntents.create(
      {
        amount,
        currency: price.currency.toLowerCase(),
        customer: savedMethod.customer,
        payment_method: savedMethod.paymentMethod,
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        description: title,
        metadata: metadataOf(purchase),
      },
      { idempotencyKey: purchaseId },
    );
    return answered(intent);
  } catch (error) {
    const refused = refusalOf(error);
    if (refused === null) throw error;
    return { refused };
  }
}

/** What came of it beyond this the intent itself tells. */
async function confirm(
  stripe: Stripe,
  { savedMethod, purchaseId }: Purchase,
  paymentIntentId: string,
  attempt: number,
): Promise<'requires action' | 'tried' | Refused> {
  try {
    const { status } = await stripe.paymentIntents.confirm(
      paymentIntentId,
      { payment_method: savedMethod?.paymentMethod ?? '', off_session: true },
      { idempotencyKey: `${purchaseId}:${attempt}` },
    );
    return status === 'requires_action' ? 'requires action' : 'tried';
  } catch (error) {
    const refused = refusalOf(error);
    if (refused === null) throw error;
    if (error instanceof Stripe.errors.StripeCardError)
      return error.code === 'authentication_required' ? 'requires action' : 'tried';
    // It succeeded or was cancelled meanwhile. Anything else will be refused the next time, too.
    return refused === 'payment_intent_unexpected_state' ? 'tried' : { refused };
  }
}

/** Of a purchase as it was read: one that has changed since then is left alone. */
async function giveUp(
  payments: Payments,
  purchase: Purchase,
  { refused }: Refused,
  trace: Trace,
): Promise<Charged | Failure> {
  const failed = { ...PENDING_SNAPSHOT, payment: 'FAILED', failureCode: refused } as const;
  const observed = await payments.applySnapshot(purchase, failed, trace);
  if (observed instanceof Failure) return observed;
  if (observed.result !== 'applied') return chargedOf(observed.purchase);
  return { outcome: 'declined', code: refused };
}

/**
 * Takes a pending TOP_UP back that its owner does not want any more. Answers what it came to: "paid"
 * where the charge was quicker. Failures say nothing of the charge, as above.
 */
export async function withdrawCharge(
  payments: Payments,
  purchase: Purchase,
  trace: Trace,
): Promise<Charged | Failure> {
  const { accountId, purchaseId, paymentIntentId } = purchase;
  // An intent is charged only once it is written down. Without one nothing was; and who has made one
  // meanwhile will find that the purchase is over.
  if (paymentIntentId === null)
    return await giveUp(payments, purchase, { refused: 'requested_by_customer' }, trace);
  try {
    const reason = { cancellation_reason: 'requested_by_customer' } as const;
    await payments.stripe.paymentIntents.cancel(paymentIntentId, reason);
  } catch (error) {
    if (isUnavailable(error)) return providerUnavailable();
    // Refused: it has succeeded, or cannot be stopped any more. The intent itself tells.
    if (refusalOf(error) === null) throw error;
  }
  const after = await payments.sync(accountId, purchaseId, { paymentIntentId }, trace);
  return after instanceof Failure ? after : chargedOf(after);
}
