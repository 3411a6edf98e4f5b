/** Payments as people speak of them: what state one is in, and what can be done to it. Pure. */
import { fromProviderAmount } from '../pricing/provider-amount.ts';
import type { Dispute, Intent, PaymentObjects, Session } from './payment-objects.ts';

export const PAYMENT_ACTIONS = [
  'PAY',
  'DECLINE',
  'REFUND',
  'DISPUTE',
  'WIN_DISPUTE',
  'LOSE_DISPUTE',
] as const;
export type PaymentAction = (typeof PAYMENT_ACTIONS)[number];

export type Payment = {
  readonly purchaseId: string;
  readonly accountId: string;
  readonly state: string;
  /** Such as "19.00". */
  readonly amount: string;
  readonly currency: string;
  /** Empty: there is no checkout to pay at. */
  readonly checkoutUrl: string;
};

const NEWEST_MAX = 100;

/** Newest first. */
export function paymentsOf(objects: PaymentObjects): readonly Payment[] {
  const ids = [...objects.sessions.values(), ...objects.intents.values()]
    .toSorted((a, b) => b.created - a.created)
    .map(({ metadata }) => metadata['purchase_id'] ?? '');
  return [...new Set(ids)]
    .slice(0, NEWEST_MAX)
    .flatMap((purchaseId) => findPayment(objects, purchaseId) ?? []);
}

/** Null where the provider has nothing of the purchase. */
export function findPayment(objects: PaymentObjects, purchaseId: string): Payment | null {
  const parts = partsOf(objects, purchaseId);
  const { session, intent } = parts;
  const either = session ?? intent;
  if (!either) return null;
  const currency = either.currency.toUpperCase();
  const amount = session?.amount_total ?? intent?.amount ?? 0;
  return {
    purchaseId,
    accountId: either.metadata['account_id'] ?? '',
    state: stateOf(objects, parts),
    amount: fromProviderAmount(currency, BigInt(amount)),
    currency,
    checkoutUrl: session?.status === 'open' ? (session.url ?? '') : '',
  };
}

/** Does it. Returns why it cannot be done; null: it is done. */
export function actOn(
  objects: PaymentObjects,
  purchaseId: string,
  action: PaymentAction,
): string | null {
  const parts = partsOf(objects, purchaseId);
  const state = stateOf(objects, parts);
  const { session, intent, dispute } = parts;
  const charge = intent ? objects.charges.get(intent.latest_charge ?? '') : undefined;
  const left = charge ? charge.amount_captured - charge.amount_refunded : 0;
  if (action === 'PAY' || action === 'DECLINE') {
    if (session?.status !== 'open') return `has no open checkout: it is ${state}`;
    if (action === 'PAY') objects.pay(session.id);
    else objects.declineCard(session.id);
  } else if (action === 'REFUND') {
    if (!intent || left <= 0) return `has no payment to refund: it is ${state}`;
    objects.refund(intent.id, left);
  } else if (action === 'DISPUTE') {
    if (!intent || !charge || charge.disputed) return `has no payment to dispute: it is ${state}`;
    objects.dispute(intent.id);
  } else {
    if (dispute?.status !== 'needs_response') return `has no open dispute: it is ${state}`;
    objects.closeDispute(dispute, action === 'WIN_DISPUTE' ? 'won' : 'lost');
  }
  return null;
}

type Parts = {
  readonly session: Session | undefined;
  readonly intent: Intent | undefined;
  readonly dispute: Dispute | undefined;
};

function partsOf(objects: PaymentObjects, purchaseId: string): Parts {
  const isOwn = ({ metadata }: Session | Intent) => metadata['purchase_id'] === purchaseId;
  const intent = [...objects.intents.values()].find(isOwn);
  return {
    session: [...objects.sessions.values()].find(isOwn),
    intent,
    dispute: [...objects.disputes.values()].find((one) => one.payment_intent === intent?.id),
  };
}

const DISPUTED: Readonly<Record<string, string>> = { won: 'dispute won', lost: 'dispute lost' };

function stateOf(objects: PaymentObjects, { session, intent, dispute }: Parts): string {
  if (dispute) return DISPUTED[dispute.status] ?? 'disputed';
  const charge = objects.charges.get(intent?.latest_charge ?? '');
  if (charge) return charge.amount_refunded > 0 ? 'refunded' : 'paid';
  if (session?.status === 'expired') return 'expired';
  if (session?.status === 'open') return intent?.last_payment_error ? 'declined' : 'open';
  if (intent?.last_payment_error) return 'declined';
  return intent?.status ?? 'open';
}
