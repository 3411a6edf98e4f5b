/** The payment provider of a simulation: the fake Stripe, what its customers did, and its webhooks. */
import { Purchase_DisputeState, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { deliver, StripeFake, type Webhook } from '../payments/stripe-fake.ts';
import type { PaymentDeed } from './trace.ts';

type Payment = {
  readonly sessionId: string;
  intentId: string | null;
  disputeOf: { status: string } | null;
  refunded: number;
};

export class Provider {
  readonly stripe = new StripeFake();
  readonly #payments = new Map<string, Payment>();

  async start(now: () => number): Promise<this> {
    await this.stripe.start();
    this.stripe.clock = now;
    return this;
  }

  /** Does something with the payment of a purchase. Returns its webhook; null if it cannot be done now. */
  act(purchaseId: string, deed: PaymentDeed): Webhook | null {
    const payment = this.#paymentOf(purchaseId);
    if (!payment) return null;
    const { stripe } = this;
    const session = stripe.session(payment.sessionId);
    const isOpen = session.status === 'open';
    switch (deed) {
      case 'pay':
      case 'pay other':
        if (!isOpen) return null;
        if (deed === 'pay') stripe.pay(session.id);
        else stripe.payOther(session.id, session.amount_total - 1);
        return stripe.event('checkout.session.completed', session);
      case 'pay later':
        if (!isOpen) return null;
        return stripe.event('checkout.session.completed', stripe.payLater(session.id));
      case 'arrive':
      case 'bounce': {
        if (session.status !== 'complete' || session.payment_status === 'paid') return null;
        const intent = stripe.intents.get(session.payment_intent ?? '');
        if (intent?.status !== 'processing') return null;
        return deed === 'arrive'
          ? stripe.event('checkout.session.async_payment_succeeded', stripe.arrive(session.id))
          : stripe.event('checkout.session.async_payment_failed', stripe.bounce(session.id));
      }
      case 'expire':
        return isOpen ? stripe.event('checkout.session.expired', stripe.expire(session.id)) : null;
      case 'refund':
      case 'dispute':
      case 'win':
      case 'lose':
        return this.#afterPayment(payment, deed);
    }
  }

  #afterPayment(payment: Payment, deed: 'refund' | 'dispute' | 'win' | 'lose'): Webhook | null {
    const { stripe } = this;
    const { payment_status: status, payment_intent: intentId } = stripe.session(payment.sessionId);
    if (status !== 'paid' || intentId === null) return null;
    const charge = stripe.chargeOf(intentId);
    if (deed === 'refund') {
      const amount = Math.min(Math.ceil(charge.amount / 3), charge.amount - charge.amount_refunded);
      return amount > 0 ? stripe.event('charge.refunded', stripe.refund(intentId, amount)) : null;
    }
    if (deed === 'dispute') {
      if (payment.disputeOf) return null;
      payment.disputeOf = stripe.dispute(intentId);
      return stripe.event('charge.dispute.created', payment.disputeOf);
    }
    if (payment.disputeOf?.status !== 'needs_response') return null;
    payment.disputeOf.status = deed === 'win' ? 'won' : 'lost';
    return stripe.event('charge.dispute.closed', payment.disputeOf);
  }

  /** Null before the purchase has a session. */
  #paymentOf(purchaseId: string): Payment | null {
    const known = this.#payments.get(purchaseId);
    if (known) return known;
    const session = [...this.stripe.sessions.values()].find(
      ({ metadata }) => metadata['purchase_id'] === purchaseId,
    );
    if (!session) return null;
    const payment = { sessionId: session.id, intentId: null, disputeOf: null, refunded: 0 };
    this.#payments.set(purchaseId, payment);
    return payment;
  }

  /** Whether a payment of exactly the price has arrived. */
  isPaid(purchaseId: string): boolean {
    return this.endOf(purchaseId).state === Purchase_State.PAID;
  }

  /** What a purchase must show once it is in step, and the share of its credits that is claimed back. */
  endOf(purchaseId: string) {
    const none = { refunded: 0, paid: 0, claimsAll: false };
    const payment = this.#paymentOf(purchaseId);
    if (!payment) return { state: null, dispute: Purchase_DisputeState.NONE, ...none };
    const session = this.stripe.session(payment.sessionId);
    const dispute = DISPUTES[payment.disputeOf?.status ?? ''] ?? Purchase_DisputeState.NONE;
    if (session.payment_status === 'paid') {
      const charge = this.stripe.chargeOf(session.payment_intent ?? '');
      const isWhole = charge.amount % 10 === 0;
      return {
        // Prices end in a whole ten cents; what is paid otherwise does not.
        state: isWhole ? Purchase_State.PAID : Purchase_State.MISMATCHED,
        dispute,
        refunded: charge.amount_refunded,
        paid: charge.amount,
        claimsAll: dispute === Purchase_DisputeState.OPEN || dispute === Purchase_DisputeState.LOST,
      };
    }
    const intent = this.stripe.intents.get(session.payment_intent ?? '');
    const hasBounced = session.status === 'complete' && intent?.status !== 'processing';
    const isExpired = session.status === 'expired';
    const state = hasBounced
      ? Purchase_State.FAILED
      : isExpired
        ? Purchase_State.EXPIRED
        : Purchase_State.PENDING;
    return { state, dispute, ...none };
  }

  /** A webhook that tells of a purchase, whatever happened to it; null if it has no session. */
  tell(purchaseId: string): Webhook | null {
    const payment = this.#paymentOf(purchaseId);
    if (!payment) return null;
    const session = this.stripe.session(payment.sessionId);
    return this.stripe.event('checkout.session.completed', session);
  }
}

const DISPUTES: Readonly<Record<string, Purchase_DisputeState>> = {
  needs_response: Purchase_DisputeState.OPEN,
  won: Purchase_DisputeState.WON,
  lost: Purchase_DisputeState.LOST,
};

export { deliver };
