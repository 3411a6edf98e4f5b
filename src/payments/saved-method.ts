/**
 * Charges a customer's saved payment method while the customer is not present. A purchase has one
 * payment intent, whatever the number of attempts. An intent succeeds once, so no race between attempts,
 * replicas and restarts charges twice.
 */
import Stripe from 'stripe';
import { Failure } from '../failure.ts';
import type { Trace } from '../ledger/entry.ts';
import { purchaseNotFound } from '../ledger/failures.ts';
import { hasPayment, type Purchase } from '../ledger/purchase.ts';
import { toProviderAmount } from '../pricing/provider-amount.ts';
import { type BeganBy, metadataOf, OPEN_AGE_MAX_MS, type Refusal } from './checkout.ts';
import { PENDING_SNAPSHOT } from './payment-snapshot.ts';
import type { Payments } from './payments.ts';
import { assertStripeObject, isUnavailable, providerUnavailable, refusalCodeOf } from './stripe.ts';

/** The purchase has been synced when this is returned. */
export type ChargeResult =
  | { readonly outcome: 'paid' }
  /** `code` is Stripe's: "insufficient_funds", "expired_card" … */
  | { readonly outcome: 'declined'; readonly code: string }
  /** The bank wants to authenticate the customer, which is impossible off session. */
  | { readonly outcome: 'requires action' }
  /** In progress at Stripe; a webhook or the reconciler will settle it. */
  | { readonly outcome: 'pending' };

/**
 * Charges a TOP_UP purchase that is not paid. An attempt that is repeated under the same number has the
 * same result and charges nothing again. After a decline, the next attempt has the next number, from 1.
 * PAYMENT_PROVIDER_UNAVAILABLE and DATABASE_UNAVAILABLE say nothing of the charge: repeat the attempt.
 */
export async function chargeSavedMethod(
  payments: Payments,
  accountId: string,
  purchaseId: string,
  attempt: number,
  now: number,
  trace: Trace,
): Promise<ChargeResult | Failure> {
  const purchase = await payments.load(accountId, purchaseId);
  if (!purchase) return purchaseNotFound(accountId, purchaseId);
  if (purchase.state === 'PAID') return { outcome: 'paid' };
  if (hasPayment(purchase)) return { outcome: 'declined', code: MISMATCHED };
  if (purchase.state === 'EXPIRED') return { outcome: 'declined', code: 'expired' };
  try {
    const paymentIntentId =
      purchase.paymentIntentId ?? (await storeNewIntent(payments, purchase, now, trace));
    if (typeof paymentIntentId !== 'string') return paymentIntentId;
    const confirmed = await confirm(payments.stripe, purchase, paymentIntentId, attempt);
    if (typeof confirmed === 'object') {
      const current = (await payments.load(accountId, purchaseId)) ?? purchase;
      return await failPurchase(payments, current, confirmed.refusalCode, trace);
    }
    const synced = await payments.sync(accountId, purchaseId, { paymentIntentId }, trace);
    if (synced instanceof Failure) return synced;
    return confirmed === 'requires action' && synced.state !== 'PAID'
      ? { outcome: 'requires action' }
      : toChargeResult(synced);
  } catch (error) {
    if (isUnavailable(error)) return providerUnavailable();
    throw error;
  }
}

/**
 * Withdraws a pending TOP_UP purchase that its owner does not want any more. The result is "paid" where
 * the charge was faster. Failures say nothing of the charge, as above.
 */
export async function withdrawCharge(
  payments: Payments,
  purchase: Purchase,
  trace: Trace,
): Promise<ChargeResult | Failure> {
  const { accountId, purchaseId, paymentIntentId } = purchase;
  // An intent is charged only after its id is stored. Without one nothing was charged, and a worker that
  // is creating one finds that the purchase has ended.
  if (paymentIntentId === null)
    return await failPurchase(payments, purchase, 'requested_by_customer', trace);
  try {
    const reason = { cancellation_reason: 'requested_by_customer' } as const;
    await payments.stripe.paymentIntents.cancel(paymentIntentId, reason);
  } catch (error) {
    if (isUnavailable(error)) return providerUnavailable();
    // A refusal: it has succeeded, or cannot be stopped any more. Its own state tells.
    if (refusalCodeOf(error) === null) throw error;
  }
  const synced = await payments.sync(accountId, purchaseId, { paymentIntentId }, trace);
  return synced instanceof Failure ? synced : toChargeResult(synced);
}

/** The code of a charge that took another amount than ordered. */
const MISMATCHED = 'payment_mismatched';

function toChargeResult(purchase: Purchase): ChargeResult {
  const { state, failureCode } = purchase;
  if (state === 'PAID') return { outcome: 'paid' };
  if (state === 'PENDING') return { outcome: 'pending' };
  if (hasPayment(purchase)) return { outcome: 'declined', code: MISMATCHED };
  if (failureCode === 'authentication_required') return { outcome: 'requires action' };
  return { outcome: 'declined', code: failureCode };
}

/**
 * Creates the purchase's payment intent and stores its id. Resolves to the id, or to the result where
 * the purchase ends without an intent.
 */
async function storeNewIntent(
  payments: Payments,
  purchase: Purchase,
  now: number,
  trace: Trace,
): Promise<string | ChargeResult | Failure> {
  const isTooOld = now - purchase.createdAt >= OPEN_AGE_MAX_MS;
  const created = isTooOld
    ? { refusalCode: 'expired' }
    : await createIntent(payments.stripe, purchase, await payments.beganBy(purchase));
  if ('refusalCode' in created) {
    const payment = isTooOld ? 'EXPIRED' : 'FAILED';
    const { refusalCode } = created;
    const ended = { ...PENDING_SNAPSHOT, payment, failureCode: refusalCode } as const;
    const applied = await payments.applySnapshot(purchase, ended, trace);
    return applied instanceof Failure ? applied : { outcome: 'declined', code: refusalCode };
  }
  const pending = { ...PENDING_SNAPSHOT, paymentIntentId: created.id };
  const applied = await payments.applySnapshot(purchase, pending, trace);
  if (applied instanceof Failure) return applied;
  // The purchase has ended meanwhile: it must not be charged any more.
  if (applied.purchase.state !== purchase.state) return toChargeResult(applied.purchase);
  return applied.purchase.paymentIntentId ?? providerUnavailable();
}

async function createIntent(
  stripe: Stripe,
  purchase: Purchase,
  began: BeganBy,
): Promise<{ readonly id: string } | Refusal> {
  const { savedMethod, price, purchaseId, title } = purchase;
  const amount = toProviderAmount(price);
  if (!savedMethod || amount === null) return { refusalCode: 'amount_not_representable' };
  try {
    const intent = await stripe.paymentIntents.create(
      {
        amount: Number(amount),
        currency: price.currency.toLowerCase(),
        customer: savedMethod.customer,
        payment_method: savedMethod.paymentMethod,
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        description: title,
        metadata: metadataOf(purchase, began),
      },
      { idempotencyKey: purchaseId },
    );
    return assertStripeObject(intent);
  } catch (error) {
    const code = refusalCodeOf(error);
    if (code === null) throw error;
    return { refusalCode: code };
  }
}

/** 'attempted': the intent itself tells the result. */
async function confirm(
  stripe: Stripe,
  { savedMethod, purchaseId }: Purchase,
  paymentIntentId: string,
  attempt: number,
): Promise<'requires action' | 'attempted' | Refusal> {
  try {
    const { status } = await stripe.paymentIntents.confirm(
      paymentIntentId,
      { payment_method: savedMethod?.paymentMethod ?? '', off_session: true },
      { idempotencyKey: `${purchaseId}:${attempt}` },
    );
    return status === 'requires_action' ? 'requires action' : 'attempted';
  } catch (error) {
    const code = refusalCodeOf(error);
    if (code === null) throw error;
    if (error instanceof Stripe.errors.StripeCardError)
      return error.code === 'authentication_required' ? 'requires action' : 'attempted';
    // Unexpected state: it has succeeded or was cancelled meanwhile. Other refusals would be repeated.
    return code === 'payment_intent_unexpected_state' ? 'attempted' : { refusalCode: code };
  }
}

/** Ends the purchase as FAILED, unless it has changed since `purchase` was read. */
async function failPurchase(
  payments: Payments,
  purchase: Purchase,
  failureCode: string,
  trace: Trace,
): Promise<ChargeResult | Failure> {
  const failed = { ...PENDING_SNAPSHOT, payment: 'FAILED', failureCode } as const;
  const applied = await payments.applySnapshot(purchase, failed, trace);
  if (applied instanceof Failure) return applied;
  if (applied.result !== 'applied') return toChargeResult(applied.purchase);
  return { outcome: 'declined', code: failureCode };
}
