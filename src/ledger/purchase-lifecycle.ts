/**
 * The steps of a purchase: it is created as pending, and once it is paid its credits are granted. A
 * purchase that was paid elsewhere does both at once. One whose payment differs from the order waits for
 * an operator in between.
 */
import { multiplyMoney } from '../pricing/money.ts';
import { expiryOf } from '../pricing/packs.ts';
import type { Money, Pack } from '../pricing/plan.ts';
import type { Book } from './book.ts';
import { type Labels, type Origin, serviceOrigin, type Trace } from './entry.ts';
import { DEFAULT_PRIORITY } from './grant.ts';
import { grantDetails } from './grant-details.ts';
import type { CheckoutTerms, Purchase, SavedMethod } from './purchase.ts';
import { paymentDetails, purchaseTerms, refundedAmount } from './purchase-details.ts';

/** How a purchase is paid. */
export type Payment =
  | { readonly method: 'REFERENCE'; readonly reference: string }
  | ({ readonly method: 'CHECKOUT' } & CheckoutTerms)
  | ({ readonly method: 'TOP_UP' } & SavedMethod);

/** Adds a pending purchase of `quantity` packs to the book. */
export function createPurchase(
  book: Book,
  pack: Pack,
  quantity: number,
  payment: Payment,
  labels: Labels,
  origin: Origin,
): Purchase {
  const purchase = newPurchase(book, pack, quantity, payment, labels, origin);
  book.purchases.push(purchase);
  book.changes.purchases.add(purchase);
  return purchase;
}

/** A pending purchase that is not in the book yet. */
export function newPurchase(
  book: Book,
  pack: Pack,
  quantity: number,
  payment: Payment,
  labels: Labels,
  { caller, requestId }: Origin,
): Purchase {
  return {
    accountId: book.account.accountId,
    purchaseId: book.newId(),
    packId: pack.packId,
    title: pack.title,
    quantity,
    credits: pack.credits * BigInt(quantity),
    price: multiplyMoney(pack.price, BigInt(quantity)),
    validity: pack.validity,
    ...paymentFields(payment),
    state: 'PENDING',
    caller,
    requestId,
    labels,
    session: null,
    paymentIntentId: null,
    failureCode: '',
    grantId: null,
    createdAt: book.now,
    paidAt: null,
    amountPaid: null,
    amountRefunded: '0',
    disputeState: 'NONE',
    resolution: null,
    creditsClawedBack: 0n,
    creditsUnrecovered: 0n,
    creditsOwed: 0n,
    syncVersion: 0,
    nextCheckAt: book.now,
  };
}

function paymentFields(
  payment: Payment,
): Pick<Purchase, 'method' | 'paymentReference' | 'checkout' | 'savedMethod'> {
  const { method } = payment;
  const none = { method, paymentReference: null, checkout: null, savedMethod: null };
  switch (method) {
    case 'REFERENCE':
      return { ...none, paymentReference: payment.reference };
    case 'CHECKOUT': {
      const { successUrl, cancelUrl, customerEmail } = payment;
      return { ...none, checkout: { successUrl, cancelUrl, customerEmail } };
    }
    case 'TOP_UP': {
      const { customer, paymentMethod } = payment;
      return { ...none, savedMethod: { customer, paymentMethod } };
    }
  }
}

/** Records that a purchase awaits its payment at the provider. Returns the seq of the entry. */
export function postCheckout(book: Book, purchase: Purchase, origin: Origin): bigint {
  const { purchaseId, labels, checkout, savedMethod } = purchase;
  const { seq } = book.post(
    {
      kind: 'CHECKOUT',
      purchaseId,
      details: purchaseTerms(purchase),
      labels,
      personal: {
        ...(checkout?.customerEmail && { customer_email: checkout.customerEmail }),
        ...(savedMethod && {
          customer: savedMethod.customer,
          payment_method: savedMethod.paymentMethod,
        }),
      },
    },
    origin,
  );
  return seq;
}

/** The reference on a purchase's entries. */
export const entryReference = ({ paymentReference, purchaseId }: Purchase): string =>
  paymentReference ?? purchaseId;

/**
 * Marks a purchase as paid and grants its credits, which are valid from now on. `origin` is that of the
 * call that learned of the payment. The entry names the buyer, or the operator who accepted the payment.
 */
export function grantPurchase(book: Book, purchase: Purchase, origin: Origin) {
  const { credits, resolution } = purchase;
  const grant = book.addGrant({
    amount: credits,
    category: 'PAID',
    priority: DEFAULT_PRIORITY,
    effectiveAt: book.now,
    expiresAt: expiryOf(purchase.validity, book.now),
    source: 'PURCHASE',
    sourceReference: purchase.purchaseId,
    state: 'OPEN',
  });
  purchase.state = 'PAID';
  purchase.failureCode = '';
  purchase.grantId = grant.grantId;
  purchase.paidAt = book.now;
  purchase.nextCheckAt = null;
  book.changes.purchases.markChanged(purchase);
  const entry = book.post(
    {
      kind: 'PURCHASE',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits }],
      credits,
      purchaseId: purchase.purchaseId,
      grantId: grant.grantId,
      details: {
        ...grantDetails(grant),
        ...purchaseTerms(purchase),
        ...paymentDetails(purchase),
      },
      reference: entryReference(purchase),
      labels: purchase.labels,
      ...(resolution && { personal: { reason: resolution.reason } }),
    },
    resolution ? origin : boughtBy(purchase, origin),
  );
  emitPurchaseCompleted(book, purchase, origin);
  return { grant, entrySeq: entry.seq };
}

/** The buyer, in the trace in which the payment became known. */
const boughtBy = ({ caller, requestId }: Purchase, origin: Origin): Origin =>
  caller === origin.caller && requestId === origin.requestId
    ? origin
    : { ...serviceOrigin(origin), caller, requestId };

/** Marks a purchase as paid otherwise than ordered. Nothing is granted until an operator accepts it. */
export function markMismatched(book: Book, purchase: Purchase, paid: Money | null, trace: Trace) {
  purchase.state = 'MISMATCHED';
  purchase.failureCode = '';
  const { purchaseId, packId, method, price } = purchase;
  book.emitEvent(
    'purchase.mismatched',
    {
      purchase_id: purchaseId,
      pack_id: packId,
      method,
      amount: price.amount,
      currency: price.currency,
      paid_amount: paid?.amount ?? '',
      paid_currency: paid?.currency ?? '',
    },
    trace,
  );
}

/** Tells what the provider has given back of a payment since `before`, and of a dispute about it. */
export function tellOfPayment(
  book: Book,
  purchase: Purchase,
  before: Pick<Purchase, 'amountRefunded' | 'disputeState'>,
  trace: Trace,
) {
  const { purchaseId, packId, amountPaid, price, disputeState } = purchase;
  const named = { purchase_id: purchaseId, pack_id: packId };
  const refunded = refundedAmount(purchase);
  if (refunded !== refundedAmount({ price, amountRefunded: before.amountRefunded })) {
    const { currency } = amountPaid ?? price;
    book.emitEvent('purchase.refunded', { ...named, amount_refunded: refunded, currency }, trace);
  }
  if (disputeState !== before.disputeState)
    book.emitEvent('purchase.disputed', { ...named, state: disputeState }, trace);
}

function emitPurchaseCompleted(book: Book, purchase: Purchase, trace: Trace) {
  book.emitEvent(
    'purchase.completed',
    {
      purchase_id: purchase.purchaseId,
      pack_id: purchase.packId,
      quantity: purchase.quantity.toString(),
      credits: purchase.credits.toString(),
      payment_reference: purchase.paymentReference ?? '',
      method: purchase.method,
    },
    trace,
  );
}
