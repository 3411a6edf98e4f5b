/** The table of purchases. */
import type { Labels } from '../../ledger/entry.ts';
import { paymentReferenceKey } from '../../ledger/payment-reference.ts';
import type {
  DisputeState,
  Purchase,
  PurchaseMethod,
  PurchaseState,
  Resolution,
} from '../../ledger/purchase.ts';
import { bigint, instant, int, json, text, uuid } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import { trimZeros } from '../../pricing/money.ts';
import { amount, validity } from './pack-columns.ts';

const columns = {
  accountId: text('key'),
  purchaseId: uuid('key', 'ordered by time'),
  packId: text('inserted'),
  title: text('inserted'),
  quantity: int('inserted', 'packs bought'),
  credits: bigint('inserted'),
  currency: text('inserted', 'ISO 4217').from((p: Purchase) => p.price.currency),
  amount: amount('inserted', 'the price of all packs').from((p: Purchase) => p.price.amount),
  validity: validity('inserted'),
  method: text<PurchaseMethod>('inserted', 'how it is paid'),
  state: text<PurchaseState>('updated'),
  paymentReference: text('inserted', 'of a REFERENCE: number of a payment elsewhere').nullable(),
  paymentReferenceKey: text('inserted', 'what references of one payment have in common')
    .nullable()
    .computed(({ paymentReference: given }: Purchase) =>
      given === null ? null : paymentReferenceKey(given),
    ),
  caller: text('inserted', 'who bought it; "scrip" for a top-up'),
  requestId: text('inserted', 'empty for a top-up'),
  labels: json<Labels>('inserted', '{"name": "value"}'),
  successUrl: text('inserted', 'of a CHECKOUT')
    .nullable()
    .from((p: Purchase) => p.checkout?.successUrl ?? null),
  cancelUrl: text('inserted', 'of a CHECKOUT')
    .nullable()
    .from((p: Purchase) => p.checkout?.cancelUrl ?? null),
  customerEmail: text('inserted', 'of a CHECKOUT; null: the provider asks')
    .nullable()
    .from((p: Purchase) => p.checkout?.customerEmail ?? null),
  customer: text('inserted', 'of a TOP_UP, as the provider names it')
    .nullable()
    .from((p: Purchase) => p.savedMethod?.customer ?? null),
  paymentMethod: text('inserted', 'of a TOP_UP, as the provider names it')
    .nullable()
    .from((p: Purchase) => p.savedMethod?.paymentMethod ?? null),
  sessionId: text('updated', "of the provider's checkout session")
    .nullable()
    .from((p: Purchase) => p.session?.sessionId ?? null),
  checkoutUrl: text('updated')
    .nullable()
    .from((p: Purchase) => p.session?.url ?? null),
  sessionExpiresAt: instant('updated')
    .nullable()
    .from((p: Purchase) => p.session?.expiresAt ?? null),
  paymentIntentId: text('updated', "of the provider's payment").nullable(),
  failureCode: text('updated', "why it is FAILED, in the provider's words; else empty"),
  grantId: bigint('updated', 'of a PAID one').nullable(),
  createdAt: instant('inserted'),
  paidAt: instant('updated').nullable(),
  currencyPaid: text('updated', 'ISO 4217')
    .nullable()
    .from((p: Purchase) => p.amountPaid?.currency ?? null),
  amountPaid: amount('updated', 'at the provider')
    .nullable()
    .from((p: Purchase) => p.amountPaid?.amount ?? null),
  amountRefunded: amount('updated'),
  disputeState: text<DisputeState>('updated'),
  decision: text<Resolution['decision']>('updated', 'on a payment that differs from the price')
    .nullable()
    .from((p: Purchase) => p.resolution?.decision ?? null),
  decidedBy: text('updated', 'the caller')
    .nullable()
    .from((p: Purchase) => p.resolution?.caller ?? null),
  decisionReason: text('updated', 'for people')
    .nullable()
    .from((p: Purchase) => p.resolution?.reason ?? null),
  decidedAt: instant('updated')
    .nullable()
    .from((p: Purchase) => p.resolution?.at ?? null),
  creditsClawedBack: bigint('updated', 'taken back after a refund or dispute'),
  creditsUnrecovered: bigint('updated', 'to be taken back, and spent before'),
  creditsOwed: bigint('updated', 'of those: used, so the account came to owe them; null: 0').nullIs(
    0n,
  ),
  syncVersion: int('updated', 'how often it was synchronised with the provider'),
  nextCheckAt: instant('updated', 'when to ask the provider; null: not pending').nullable(),
};

export const purchases = defineTable({
  name: 'purchases',
  comment: 'Packs bought. A purchase is pending until it is paid; then it makes one grant.',
  columns,
  toDomain: toPurchase,
  checks: {
    purchases_quantity_check: 'quantity > 0',
    purchases_credits_check: 'credits > 0',
    purchases_amount_check: 'amount >= 0',
    purchases_state_check:
      "state in ('PENDING', 'PAID', 'FAILED', 'EXPIRED', 'MISMATCHED', 'REJECTED')",
    purchases_paid_check: [
      "(state = 'PAID') = (grant_id is not null)",
      "(state = 'PAID') = (paid_at is not null)",
    ],
    purchases_method_check: [
      "method in ('REFERENCE', 'CHECKOUT', 'TOP_UP')",
      "(method = 'REFERENCE') = (payment_reference is not null)",
      "(method = 'REFERENCE') = (payment_reference_key is not null)",
      "(method = 'CHECKOUT') = (success_url is not null and cancel_url is not null)",
      "(method = 'TOP_UP') = (customer is not null and payment_method is not null)",
    ],
    purchases_session_check: [
      '(session_id is null) = (checkout_url is null)',
      '(session_id is null) = (session_expires_at is null)',
    ],
    purchases_asked_back_check: [
      'amount_refunded >= 0',
      'credits_clawed_back >= 0',
      'credits_unrecovered >= 0',
      'credits_clawed_back + credits_unrecovered <= credits',
    ],
    purchases_owed_check: ['credits_owed > 0', 'credits_owed <= credits'],
    purchases_amount_paid_check: [
      '(amount_paid is null) = (currency_paid is null)',
      'amount_paid >= 0',
      "(amount_paid is not null or state <> 'MISMATCHED')",
    ],
    purchases_decision_check: [
      "decision in ('ACCEPTED', 'REJECTED')",
      '(decision is null) = (decided_by is null)',
      '(decision is null) = (decision_reason is null)',
      '(decision is null) = (decided_at is null)',
      "(state = 'REJECTED') = (coalesce(decision, '') = 'REJECTED')",
      "(state = 'PAID' or coalesce(decision, '') <> 'ACCEPTED')",
      "(state <> 'PAID' or amount_paid is null or decision is not null or (amount_paid = amount and currency_paid = currency))",
    ],
    purchases_dispute_check: "dispute_state in ('NONE', 'OPEN', 'WON', 'LOST')",
    purchases_next_check_check: "(state = 'PENDING') = (next_check_at is not null)",
  },
  uniques: {
    purchases_payment_reference: ['accountId', 'paymentReferenceKey'],
    purchases_session: ['accountId', 'sessionId'],
    purchases_payment_intent: ['accountId', 'paymentIntentId'],
  },
  indexes: {
    purchases_to_check: { on: ['nextCheckAt'], where: 'next_check_at is not null' },
    purchases_imported_payment: {
      on: ['paymentIntentId'],
      where: "method = 'REFERENCE' and payment_intent_id is not null",
    },
    purchases_mismatched: { on: ['accountId', 'purchaseId'], where: "state = 'MISMATCHED'" },
  },
  privileges: 'select, insert, update',
});

function toPurchase({
  currency,
  amount,
  successUrl,
  cancelUrl,
  customerEmail,
  customer,
  paymentMethod,
  sessionId,
  checkoutUrl,
  sessionExpiresAt,
  currencyPaid,
  amountPaid,
  decision,
  decidedBy,
  decisionReason,
  decidedAt,
  ...values
}: Values<typeof columns>): Purchase {
  return {
    ...values,
    price: trimZeros({ currency, amount }),
    amountPaid:
      currencyPaid !== null && amountPaid !== null
        ? trimZeros({ currency: currencyPaid, amount: amountPaid })
        : null,
    amountRefunded: trimZeros({ currency: currencyPaid ?? currency, amount: values.amountRefunded })
      .amount,
    resolution:
      decision !== null && decidedBy !== null && decisionReason !== null && decidedAt !== null
        ? { decision, caller: decidedBy, reason: decisionReason, at: decidedAt }
        : null,
    checkout:
      successUrl !== null && cancelUrl !== null ? { successUrl, cancelUrl, customerEmail } : null,
    savedMethod: customer !== null && paymentMethod !== null ? { customer, paymentMethod } : null,
    session:
      sessionId !== null && checkoutUrl !== null && sessionExpiresAt !== null
        ? { sessionId, url: checkoutUrl, expiresAt: sessionExpiresAt }
        : null,
  };
}
