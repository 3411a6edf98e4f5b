/**
 * What entries state of a purchase, so that the hash chain covers it: the terms on which it was bought, and what
 * the payment provider says of its payment.
 */
import { trimZeros } from '../pricing/money.ts';
import { formatValidity } from '../pricing/plan-file/validity.ts';
import type { Book } from './book.ts';
import { type Labels, type Origin, serviceOrigin } from './entry.ts';
import type { Purchase } from './purchase.ts';

/** They never change. */
export const purchaseTerms = ({
  packId,
  title,
  quantity,
  credits,
  price,
  validity,
  method,
}: Purchase): Labels => ({
  pack_id: packId,
  title,
  quantity: quantity.toString(),
  credits: credits.toString(),
  amount: price.amount,
  currency: price.currency,
  validity: formatValidity(validity),
  method,
});

/** Of what is not there, nothing is stated. */
export const paymentDetails = (purchase: Purchase): Labels => ({
  ...(purchase.failureCode && { failure_code: purchase.failureCode }),
  ...(purchase.session && { session_id: purchase.session.sessionId }),
  ...(purchase.paymentIntentId && { payment_intent_id: purchase.paymentIntentId }),
  ...(purchase.amountPaid && {
    amount_paid: purchase.amountPaid.amount,
    currency_paid: purchase.amountPaid.currency,
  }),
  ...refundDetails(purchase),
  ...(purchase.disputeState !== 'NONE' && { dispute_state: purchase.disputeState }),
  ...(purchase.creditsUnrecovered > 0n && {
    credits_unrecovered: purchase.creditsUnrecovered.toString(),
  }),
  ...(purchase.creditsOwed > 0n && { credits_owed: purchase.creditsOwed.toString() }),
});

/** Without trailing zeros: the database pads amounts. */
export const refundedAmount = ({
  amountRefunded,
  price,
}: Pick<Purchase, 'amountRefunded' | 'price'>): string =>
  trimZeros({ ...price, amount: amountRefunded }).amount;

function refundDetails(purchase: Purchase): Labels {
  const amount = refundedAmount(purchase);
  return /[1-9]/.test(amount) ? { amount_refunded: amount } : {};
}

/** A text that differs where a PAYMENT has something to say. While it is pending, nothing is paid. */
export const paymentKey = (purchase: Purchase): string =>
  purchase.state === 'PENDING'
    ? purchase.state
    : JSON.stringify([purchase.state, paymentDetails(purchase)]);

/** States what has changed of a payment since `stated`, if anything has. */
export function postPayment(book: Book, purchase: Purchase, stated: string, origin: Origin) {
  if (paymentKey(purchase) === stated) return;
  const { purchaseId, state } = purchase;
  const details = { state, ...paymentDetails(purchase) };
  book.post({ kind: 'PAYMENT', purchaseId, details }, serviceOrigin(origin));
}
