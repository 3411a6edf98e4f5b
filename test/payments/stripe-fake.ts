/**
 * A fake Stripe over HTTP: the endpoints that the service uses, with their state. Sessions are opened,
 * paid, paid later, declined and expired; payment intents are charged off session; payments are refunded
 * and disputed. Idempotency keys work as at Stripe. Webhooks are signed by Stripe's scheme, with code
 * that the service does not use.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const SECRET_KEY = 'sk_test_of_the_fake';
export const WEBHOOK_SECRET = 'whsec_of_the_fake';

type Session = {
  readonly id: string;
  readonly object: 'checkout.session';
  readonly metadata: Metadata;
  amount_total: number;
  currency: string;
  readonly expires_at: number;
  readonly payment_intent_data: Metadata;
  url: string | null;
  status: 'open' | 'complete' | 'expired';
  payment_status: 'unpaid' | 'paid' | 'no_payment_required';
  payment_intent: string | null;
};

type Intent = {
  readonly id: string;
  readonly object: 'payment_intent';
  readonly metadata: Metadata;
  amount: number;
  currency: string;
  amount_received: number;
  status: string;
  latest_charge: string | null;
  last_payment_error: { code: string; decline_code?: string } | null;
  cancellation_reason: string | null;
};

type Charge = {
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

type Dispute = {
  readonly id: string;
  readonly object: 'dispute';
  readonly payment_intent: string;
  readonly charge: string;
  status: string;
};

type Metadata = Readonly<Record<string, string>>;
type Form = ReadonlyMap<string, string>;
type Answer = { readonly status: number; readonly body: object };

/** Replaces or delays a response: undefined sends the fake's own, 'hang up' closes the connection. */
export type Intercept = (
  call: string,
  moment: 'before' | 'after',
) => undefined | 'hang up' | Answer | Promise<undefined | 'hang up' | Answer>;

export class StripeFake {
  readonly sessions = new Map<string, Session>();
  readonly intents = new Map<string, Intent>();
  readonly charges = new Map<string, Charge>();
  readonly disputes = new Map<string, Dispute>();
  /** Every call, e.g. "POST /v1/checkout/sessions". */
  readonly calls: string[] = [];
  /** The result of charging a payment method; one that is not listed succeeds. */
  readonly methods = new Map<
    string,
    'insufficient_funds' | 'authentication_required' | 'requires_action' | 'processing'
  >();
  /** Called twice per call: before its effect, and before its response is sent. */
  intercept: Intercept = () => undefined;
  /** Now, in milliseconds. */
  clock: () => number = Date.now;
  url = '';
  readonly #keys = new Map<string, { readonly content: string; readonly answer: Answer }>();
  #count = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** The configuration of a service that uses this Stripe. */
  get env() {
    return {
      STRIPE_SECRET_KEY: SECRET_KEY,
      STRIPE_API_BASE: this.url,
      STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
      STRIPE_WEBHOOK_PORT: '0',
      STRIPE_TIMEOUT_MS: '20000',
      PURCHASE_CHECK_INTERVAL_MS: '3600000',
      PURCHASE_CHECK_AFTER_MS: '0',
      TOP_UP_INTERVAL_MS: '3600000',
    };
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

  // Actions of customers, banks and operators.

  /** The customer pays at once. */
  pay(sessionId: string): Session {
    const session = this.#complete(sessionId);
    this.#succeed(found(this.intents, session.payment_intent ?? ''));
    session.payment_status = 'paid';
    return session;
  }

  /** The customer pays another amount than ordered, for example with a discount code. */
  payOther(sessionId: string, amount: number, currency?: string): Session {
    const session = this.session(sessionId);
    const intent = this.#intentFor(session);
    for (const each of [session, intent]) each.currency = currency ?? each.currency;
    session.amount_total = amount;
    intent.amount = amount;
    return this.pay(sessionId);
  }

  /** A discount of 100 percent: there is no payment. */
  payNothing(sessionId: string): Session {
    const session = this.session(sessionId);
    session.status = 'complete';
    session.payment_status = 'no_payment_required';
    session.amount_total = 0;
    session.url = null;
    return session;
  }

  /** The customer pays by a method that takes days: `arrive` or `bounce` follows. */
  payLater(sessionId: string): Session {
    const session = this.#complete(sessionId);
    found(this.intents, session.payment_intent ?? '').status = 'processing';
    return session;
  }

  arrive(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#succeed(found(this.intents, session.payment_intent ?? ''));
    session.payment_status = 'paid';
    return session;
  }

  bounce(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#decline(found(this.intents, session.payment_intent ?? ''), 'insufficient_funds');
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

  /** Drops all idempotency keys, as Stripe may do after a day. */
  forgetKeys() {
    this.#keys.clear();
  }

  /** The customer's card is declined; the session stays open. */
  declineCard(sessionId: string): Session {
    const session = this.session(sessionId);
    this.#decline(this.#intentFor(session), 'card_declined');
    return session;
  }

  expire(sessionId: string): Session {
    const session = this.session(sessionId);
    session.status = 'expired';
    session.url = null;
    return session;
  }

  /** Refunds an amount of a payment. A negative amount is a refund that failed. */
  refund(intentId: string, amount: number): Charge {
    const charge = this.chargeOf(intentId);
    charge.amount_refunded += amount;
    charge.refunded = charge.amount_refunded === charge.amount;
    return charge;
  }

  dispute(intentId: string, status = 'needs_response'): Dispute {
    const charge = this.chargeOf(intentId);
    charge.disputed = true;
    const id = this.#id('du');
    const dispute: Dispute = {
      id,
      object: 'dispute',
      payment_intent: intentId,
      charge: charge.id,
      status,
    };
    this.disputes.set(id, dispute);
    return dispute;
  }

  chargeOf(intentId: string): Charge {
    return found(this.charges, found(this.intents, intentId).latest_charge ?? '');
  }

  #complete(sessionId: string): Session {
    const session = this.session(sessionId);
    if (session.status !== 'open') throw new Error(`session ${sessionId} is ${session.status}`);
    this.#intentFor(session);
    session.status = 'complete';
    session.url = null;
    return session;
  }

  #intentFor(session: Session): Intent {
    const known = this.intents.get(session.payment_intent ?? '');
    if (known) return known;
    const { amount_total: amount, currency, payment_intent_data: metadata } = session;
    const intent = this.#addIntent(amount, currency, metadata);
    session.payment_intent = intent.id;
    return intent;
  }

  #addIntent(amount: number, currency: string, metadata: Metadata): Intent {
    const intent: Intent = {
      id: this.#id('pi'),
      object: 'payment_intent',
      metadata,
      amount,
      currency,
      amount_received: 0,
      status: 'requires_payment_method',
      latest_charge: null,
      last_payment_error: null,
      cancellation_reason: null,
    };
    this.intents.set(intent.id, intent);
    return intent;
  }

  #succeed(intent: Intent) {
    const charge: Charge = {
      id: this.#id('ch'),
      object: 'charge',
      metadata: intent.metadata,
      amount: intent.amount,
      currency: intent.currency,
      payment_intent: intent.id,
      amount_captured: intent.amount,
      amount_refunded: 0,
      refunded: false,
      disputed: false,
    };
    this.charges.set(charge.id, charge);
    intent.status = 'succeeded';
    intent.amount_received = intent.amount;
    intent.latest_charge = charge.id;
    intent.last_payment_error = null;
  }

  #decline(intent: Intent, code: string) {
    intent.status = 'requires_payment_method';
    intent.last_payment_error = { code: 'card_declined', decline_code: code };
  }

  #id(prefix: string): string {
    this.#count += 1;
    return `${prefix}_test_${this.#count}_${randomUUID().slice(0, 8)}`;
  }

  // HTTP.

  async #serve(request: IncomingMessage, response: ServerResponse) {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '', this.url);
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const call = `${method} ${url.pathname}`;
    this.calls.push(call);
    const form: Form = new Map(new URLSearchParams(method === 'GET' ? url.search : text));
    const replaced = await this.intercept(call, 'before');
    const answer =
      replaced === undefined
        ? this.#keyed(String(headers['idempotency-key'] ?? ''), call + text, () =>
            headers.authorization === `Bearer ${SECRET_KEY}`
              ? this.#answer(method, url.pathname, form)
              : failure(401, 'invalid_request_error', 'invalid_api_key'),
          )
        : replaced;
    const after = replaced === undefined ? await this.intercept(call, 'after') : undefined;
    const sent = after ?? answer;
    if (sent === 'hang up') {
      request.socket.destroy();
      return;
    }
    response.writeHead(sent.status, {
      'content-type': 'application/json',
      'request-id': this.#id('req'),
      // Keeps the client library from retrying, which would only slow down the tests of outages.
      ...(sent.status >= 500 && { 'stripe-should-retry': 'false' }),
    });
    response.end(JSON.stringify(sent.body));
  }

  /** Repeats the first response under the same idempotency key; refuses other content under it. */
  #keyed(key: string, content: string, answer: () => Answer): Answer {
    if (key === '') return answer();
    const known = this.#keys.get(key);
    if (known)
      return known.content === content
        ? known.answer
        : failure(400, 'idempotency_error', 'idempotency_key_in_use');
    const given = structuredClone(answer());
    this.#keys.set(key, { content, answer: given });
    return given;
  }

  #answer(method: string, path: string, form: Form): Answer {
    const [, , kind, id, action, last] = path.split('/');
    if (path === '/v1/checkout/sessions' && method === 'POST') return this.#openSession(form);
    if (kind === 'checkout' && action !== undefined && method === 'GET') {
      const session = this.sessions.get(action);
      return session ? ok(this.#expandedSession(session, form)) : missing();
    }
    if (path === '/v1/payment_intents' && method === 'POST') return this.#openIntent(form);
    if (kind === 'payment_intents' && id !== undefined) {
      const intent = this.intents.get(id);
      if (!intent || last !== undefined) return missing();
      if (method === 'GET' && action === undefined) return ok(this.#expandedIntent(intent, form));
      if (method === 'POST' && action === 'confirm') return this.#confirm(intent, form);
      if (method === 'POST' && action === 'cancel') return this.#cancel(intent, form);
    }
    if (path === '/v1/disputes' && method === 'GET') {
      const all = [...this.disputes.values()];
      const data = all.filter((d) => d.payment_intent === form.get('payment_intent'));
      return ok({ object: 'list', data, has_more: false, url: path });
    }
    return missing();
  }

  #openSession(form: Form): Answer {
    const item = 'line_items[0]';
    const amount = Number(form.get(`${item}[price_data][unit_amount]`));
    const needed = ['success_url', 'cancel_url', `${item}[price_data][product_data][name]`];
    if (form.get('mode') !== 'payment' || needed.some((name) => !form.get(name)))
      return failure(400, 'invalid_request_error', 'parameter_missing');
    if (!(amount >= 50)) return failure(400, 'invalid_request_error', 'amount_too_small');
    const id = this.#id('cs');
    const session: Session = {
      id,
      object: 'checkout.session',
      metadata: fields(form, 'metadata'),
      amount_total: amount * Number(form.get(`${item}[quantity]`)),
      currency: form.get(`${item}[price_data][currency]`) ?? '',
      expires_at: Math.floor(this.clock() / 1_000) + 86_400,
      payment_intent_data: fields(form, 'payment_intent_data[metadata]'),
      url: `https://checkout.stripe.example/${id}`,
      status: 'open',
      payment_status: 'unpaid',
      payment_intent: null,
    };
    this.sessions.set(id, session);
    return ok(session);
  }

  #openIntent(form: Form): Answer {
    if (!form.get('customer') || !form.get('payment_method'))
      return failure(400, 'invalid_request_error', 'parameter_missing');
    const metadata = fields(form, 'metadata');
    const intent = this.#addIntent(
      Number(form.get('amount')),
      form.get('currency') ?? '',
      metadata,
    );
    intent.status = 'requires_confirmation';
    return ok(intent);
  }

  #confirm(intent: Intent, form: Form): Answer {
    if (['succeeded', 'processing', 'canceled'].includes(intent.status))
      return failure(400, 'invalid_request_error', 'payment_intent_unexpected_state');
    if (form.get('off_session') !== 'true')
      return failure(400, 'invalid_request_error', 'parameter_missing');
    const end = this.methods.get(form.get('payment_method') ?? '');
    if (end === undefined) this.#succeed(intent);
    else if (end === 'processing' || end === 'requires_action') intent.status = end;
    else {
      this.#decline(intent, end);
      if (end === 'authentication_required') intent.last_payment_error = { code: end };
      const error = { type: 'card_error', ...intent.last_payment_error, payment_intent: intent };
      return { status: 402, body: { error: { message: 'declined', ...error } } };
    }
    return ok(intent);
  }

  #cancel(intent: Intent, form: Form): Answer {
    if (['succeeded', 'processing', 'canceled'].includes(intent.status))
      return failure(400, 'invalid_request_error', 'payment_intent_unexpected_state');
    intent.status = 'canceled';
    intent.cancellation_reason = form.get('cancellation_reason') ?? null;
    return ok(intent);
  }

  #expandedSession(session: Session, form: Form): object {
    const intent = this.intents.get(session.payment_intent ?? '');
    const expand = form.get('expand[0]')?.startsWith('payment_intent');
    if (!intent || !expand) return session;
    const charge = this.charges.get(intent.latest_charge ?? '') ?? null;
    return { ...session, payment_intent: { ...intent, latest_charge: charge } };
  }

  #expandedIntent(intent: Intent, form: Form): object {
    if (form.get('expand[0]') !== 'latest_charge') return intent;
    return { ...intent, latest_charge: this.charges.get(intent.latest_charge ?? '') ?? null };
  }

  // Webhooks.

  /** An event as Stripe sends it, signed at `at`, in milliseconds. */
  event(type: string, object: object, at = this.clock(), secret = WEBHOOK_SECRET): Webhook {
    const body = JSON.stringify({
      id: this.#id('evt'),
      object: 'event',
      api_version: '2026-10-28.endive',
      created: Math.floor(at / 1_000),
      type,
      data: { object: structuredClone(object) },
    });
    return { body, signature: signatureOf(body, at, secret) };
  }
}

export type Webhook = { readonly body: string; readonly signature: string };

/** t=<seconds>,v1=<hex HMAC-SHA256 of "<seconds>.<body>">. */
export function signatureOf(body: string, at: number, secret = WEBHOOK_SECRET): string {
  const seconds = Math.floor(at / 1_000);
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}

/** Delivers an event and returns the HTTP status. */
export async function deliver(
  port: number | null,
  { body, signature }: Webhook,
  path = '/webhooks/stripe',
): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'stripe-signature': signature },
    body,
  });
  await response.text();
  return response.status;
}

function fields(form: Form, prefix: string): Metadata {
  const own = [...form].filter(([name]) => name.startsWith(`${prefix}[`));
  return Object.fromEntries(
    own.map(([name, value]) => [name.slice(prefix.length + 1, -1), value] as const),
  );
}

const ok = (body: object): Answer => ({ status: 200, body: structuredClone(body) });

const failure = (status: number, type: string, code: string): Answer => ({
  status,
  body: { error: { type, code, message: `refused: ${code}` } },
});

const missing = (): Answer => failure(404, 'invalid_request_error', 'resource_missing');

function found<Noun>(map: ReadonlyMap<string, Noun>, id: string): Noun {
  const noun = map.get(id);
  if (noun === undefined) throw new Error(`there is no ${id}`);
  return noun;
}
