/**
 * The objects of a payment provider as Stripe's API shows them, and what customers, banks and operators do to them.
 * Sessions are opened, paid, paid later, declined and expired; payment intents are charged off session; payments are
 * refunded and disputed. In memory: `payment-store.ts` keeps them.
 */
import { randomUUID } from 'node:crypto';

export type Metadata = Readonly<Record<string, string>>;

export type Session = {
  readonly id: string;
  readonly object: 'checkout.session';
  readonly metadata: Metadata;
  readonly created: number;
  readonly expires_at: number;
  readonly payment_intent_data: Metadata;
  /** What is bought. */
  readonly title: string;
  readonly success_url: string;
  readonly cancel_url: string;
  amount_total: number;
  currency: string;
  url: string | null;
  status: 'open' | 'complete' | 'expired';
  payment_status: 'unpaid' | 'paid' | 'no_payment_required';
  payment_intent: string | null;
};

export type Intent = {
  readonly id: string;
  readonly object: 'payment_intent';
  readonly metadata: Metadata;
  readonly created: number;
  amount: number;
  currency: string;
  amount_received: number;
  status: string;
  latest_charge: string | null;
  last_payment_error: { code: string; decline_code?: string } | null;
  cancellation_reason: string | null;
};

export type Charge = {
  readonly id: string;
  readonly object: 'charge';
  readonly metadata: Metadata;
  readonly amount: number;
  readonly currency: string;
  readonly payment_intent: string;
  readonly amount_captured: number;
  amount_refunded: number;
  refunded: boolean;
  disputed: boolean;
};

export type Dispute = {
  readonly id: string;
  readonly object: 'dispute';
  readonly payment_intent: string;
  readonly charge: string;
  status: string;
};

/** The first answer under an idempotency key, and what was asked. */
export type KeyedAnswer = {
  readonly id: string;
  readonly object: 'idempotency_key';
  readonly content: string;
  readonly answer: { readonly status: number; readonly body: object };
};

export type PaymentObject = Session | Intent | Charge | Dispute | KeyedAnswer;

/** What a webhook tells. */
export type Occurrence = {
  readonly type: string;
  readonly object: Session | Intent | Charge | Dispute;
};

/** How the charge of a saved payment method ends. */
export type ChargeEnd =
  | 'succeeded'
  | 'processing'
  | 'requires_action'
  | 'authentication_required'
  | 'insufficient_funds'
  | 'expired_card'
  | 'generic_decline';

export class PaymentObjects {
  readonly sessions = new Map<string, Session>();
  readonly intents = new Map<string, Intent>();
  readonly charges = new Map<string, Charge>();
  readonly disputes = new Map<string, Dispute>();
  readonly keys = new Map<string, KeyedAnswer>();
  readonly #changed = new Set<PaymentObject>();
  #occurred: Occurrence[] = [];
  /** Now, in milliseconds. */
  clock: () => number;

  constructor(clock: () => number) {
    this.clock = clock;
  }

  /** Puts an object that was made before in its place. */
  load(object: PaymentObject) {
    this.#mapOf(object).set(object.id, object);
  }

  /** What has changed since the last call, and what webhooks tell of it. */
  takeChanges(): {
    readonly changed: readonly PaymentObject[];
    readonly occurred: readonly Occurrence[];
  } {
    const changes = { changed: [...this.#changed], occurred: this.#occurred };
    this.#changed.clear();
    this.#occurred = [];
    return changes;
  }

  session(id: string): Session {
    return found(this.sessions, id);
  }

  /** The only session of a purchase. */
  sessionOf(purchaseId: string): Session {
    const own = [...this.sessions.values()].filter((s) => s.metadata['purchase_id'] === purchaseId);
    if (own.length !== 1) throw new Error(`purchase ${purchaseId} has ${own.length} sessions`);
    return own[0] as Session;
  }

  intentOf(purchaseId: string): Intent {
    const intent = [...this.intents.values()].find((i) => i.metadata['purchase_id'] === purchaseId);
    if (!intent) throw new Error(`purchase ${purchaseId} has no intent`);
    return intent;
  }

  chargeOf(intentId: string): Charge {
    return found(this.charges, found(this.intents, intentId).latest_charge ?? '');
  }

  // What the API makes.

  addSession(
    session: Omit<Session, 'object' | 'created' | 'status' | 'payment_status' | 'payment_intent'>,
  ): Session {
    return this.add({
      ...session,
      object: 'checkout.session',
      created: Math.floor(this.clock() / 1_000),
      status: 'open',
      payment_status: 'unpaid',
      payment_intent: null,
    });
  }

  addIntent(amount: number, currency: string, metadata: Metadata): Intent {
    return this.add({
      id: this.newId('pi'),
      object: 'payment_intent',
      metadata,
      created: Math.floor(this.clock() / 1_000),
      amount,
      currency,
      amount_received: 0,
      status: 'requires_payment_method',
      latest_charge: null,
      last_payment_error: null,
      cancellation_reason: null,
    });
  }

  /** Charges a saved payment method. */
  confirm(intent: Intent, end: ChargeEnd) {
    if (end === 'succeeded') this.#succeed(intent);
    else if (end === 'processing' || end === 'requires_action')
      this.change(intent, { status: end });
    else this.#decline(intent, end);
  }

  cancel(intent: Intent, reason: string | null) {
    this.change(intent, { status: 'canceled', cancellation_reason: reason });
    this.#tell('payment_intent.canceled', intent);
  }

  // Actions of customers, banks and operators.

  /** The customer pays at once. */
  pay(sessionId: string): Session {
    const session = this.#complete(sessionId);
    this.#succeed(found(this.intents, session.payment_intent ?? ''));
    this.change(session, { payment_status: 'paid' });
    this.#tell('checkout.session.completed', session);
    return session;
  }

  /** The customer pays another amount than ordered, for example with a discount code. */
  payOther(sessionId: string, amount: number, currency?: string): Session {
    const session = this.session(sessionId);
    const intent = this.#intentFor(session);
    this.change(session, { currency: currency ?? session.currency, amount_total: amount });
    this.change(intent, { currency: currency ?? intent.currency, amount });
    return this.pay(sessionId);
  }

  /** A discount of 100 percent: there is no payment. */
  payNothing(sessionId: string): Session {
    const session = this.session(sessionId);
    this.change(session, {
      status: 'complete',
      payment_status: 'no_payment_required',
      amount_total: 0,
      url: null,
    });
    this.#tell('checkout.session.completed', session);
    return session;
  }

  /** The customer pays by a method that takes days: `arrive` or `bounce` follows. */
  payLater(sessionId: string): Session {
    const session = this.#complete(sessionId);
    this.change(found(this.intents, session.payment_intent ?? ''), { status: 'processing' });
    this.#tell('checkout.session.completed', session);
    return session;
  }

  arrive(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#succeed(found(this.intents, session.payment_intent ?? ''));
    this.change(session, { payment_status: 'paid' });
    this.#tell('checkout.session.async_payment_succeeded', session);
    return session;
  }

  bounce(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#decline(found(this.intents, session.payment_intent ?? ''), 'insufficient_funds');
    this.#tell('checkout.session.async_payment_failed', session);
    return session;
  }

  /** The pending charge of an intent succeeds. */
  payIntent(id: string): Intent {
    const intent = found(this.intents, id);
    this.#succeed(intent);
    return intent;
  }

  /** The pending charge of an intent fails. */
  bounceIntent(id: string): Intent {
    const intent = found(this.intents, id);
    this.#decline(intent, 'insufficient_funds');
    return intent;
  }

  /** The customer's card is declined; the session stays open. */
  declineCard(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#decline(this.#intentFor(session), 'card_declined');
    return session;
  }

  expire(sessionId: string): Session {
    const session = this.session(sessionId);
    this.change(session, { status: 'expired', url: null });
    this.#tell('checkout.session.expired', session);
    return session;
  }

  /** Expires the sessions whose time has come. */
  expireDue() {
    const now = this.clock();
    for (const { id, status, expires_at } of this.sessions.values())
      if (status === 'open' && expires_at * 1_000 <= now) this.expire(id);
  }

  /** Refunds an amount of a payment. A negative amount is a refund that failed. */
  refund(intentId: string, amount: number): Charge {
    const charge = this.chargeOf(intentId);
    const refunded = charge.amount_refunded + amount;
    this.change(charge, { amount_refunded: refunded, refunded: refunded === charge.amount });
    this.#tell('charge.refunded', charge);
    return charge;
  }

  dispute(intentId: string, status = 'needs_response'): Dispute {
    const charge = this.chargeOf(intentId);
    this.change(charge, { disputed: true });
    const dispute = this.add({
      id: this.newId('du'),
      object: 'dispute',
      payment_intent: intentId,
      charge: charge.id,
      status,
    });
    this.#tell('charge.dispute.created', dispute);
    return dispute;
  }

  closeDispute(dispute: Dispute, status: 'won' | 'lost') {
    this.change(dispute, { status });
    this.#tell('charge.dispute.closed', dispute);
  }

  newId(prefix: string): string {
    return `${prefix}_test_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
  }

  add<Noun extends PaymentObject>(object: Noun): Noun {
    this.load(object);
    this.#changed.add(object);
    return object;
  }

  change<Noun extends PaymentObject>(object: Noun, changes: Partial<Noun>) {
    Object.assign(object, changes);
    this.#changed.add(object);
  }

  #tell(type: string, object: Occurrence['object']) {
    this.#occurred.push({ type, object: structuredClone(object) });
  }

  #complete(sessionId: string): Session {
    const session = this.session(sessionId);
    if (session.status !== 'open') throw new Error(`session ${sessionId} is ${session.status}`);
    this.#intentFor(session);
    this.change(session, { status: 'complete', url: null });
    return session;
  }

  #intentFor(session: Session): Intent {
    const known = this.intents.get(session.payment_intent ?? '');
    if (known) return known;
    const { amount_total: amount, currency, payment_intent_data: metadata } = session;
    const intent = this.addIntent(amount, currency, metadata);
    this.change(session, { payment_intent: intent.id });
    return intent;
  }

  #succeed(intent: Intent) {
    const charge = this.add<Charge>({
      id: this.newId('ch'),
      object: 'charge',
      metadata: intent.metadata,
      amount: intent.amount,
      currency: intent.currency,
      payment_intent: intent.id,
      amount_captured: intent.amount,
      amount_refunded: 0,
      refunded: false,
      disputed: false,
    });
    this.change(intent, {
      status: 'succeeded',
      amount_received: intent.amount,
      latest_charge: charge.id,
      last_payment_error: null,
    });
    this.#tell('payment_intent.succeeded', intent);
  }

  #decline(intent: Intent, code: string) {
    const error =
      code === 'authentication_required' ? { code } : { code: 'card_declined', decline_code: code };
    this.change(intent, { status: 'requires_payment_method', last_payment_error: error });
    this.#tell('payment_intent.payment_failed', intent);
  }

  #mapOf({ object }: PaymentObject): Map<string, PaymentObject> {
    const maps = {
      'checkout.session': this.sessions,
      payment_intent: this.intents,
      charge: this.charges,
      dispute: this.disputes,
      idempotency_key: this.keys,
    } as const;
    return maps[object] as Map<string, PaymentObject>;
  }
}

function found<Noun>(map: ReadonlyMap<string, Noun>, id: string): Noun {
  const noun = map.get(id);
  if (noun === undefined) throw new Error(`there is no ${id}`);
  return noun;
}
