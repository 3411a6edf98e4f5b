/**
 * The endpoints of Stripe's API that the service uses, on payment objects. Idempotency keys work as at Stripe: the
 * first answer is repeated, and other content under the same key is refused.
 */
import type { ChargeEnd, Intent, Metadata, PaymentObjects, Session } from './payment-objects.ts';

export type ApiAnswer = { readonly status: number; readonly body: object };

export type ApiRequest = {
  readonly method: string;
  /** Such as "/v1/checkout/sessions". */
  readonly path: string;
  /** Of a GET: the query. */
  readonly form: ReadonlyMap<string, string>;
  /** Empty: none. */
  readonly idempotencyKey: string;
  /** What counts as the same request under one key. */
  readonly content: string;
};

export type ApiOptions = {
  /** How charging a saved payment method ends. */
  readonly endOf: (paymentMethod: string) => ChargeEnd;
  /** Where the customer pays. */
  readonly checkoutUrl: (sessionId: string) => string;
};

type Form = ApiRequest['form'];

const SESSION_LIFE_S = 86_400;

export function answerApi(
  objects: PaymentObjects,
  request: ApiRequest,
  options: ApiOptions,
): ApiAnswer {
  const { idempotencyKey: id, content } = request;
  if (id === '') return answer(objects, request, options);
  const known = objects.keys.get(id);
  if (known)
    return known.content === content
      ? known.answer
      : apiFailure(400, 'idempotency_error', 'idempotency_key_in_use');
  const given = structuredClone(answer(objects, request, options));
  objects.add({ id, object: 'idempotency_key', content, answer: given });
  return given;
}

function answer(
  objects: PaymentObjects,
  { method, path, form }: ApiRequest,
  options: ApiOptions,
): ApiAnswer {
  const [, , kind, id, action, last] = path.split('/');
  if (path === '/v1/checkout/sessions' && method === 'POST')
    return openSession(objects, form, options);
  if (kind === 'checkout' && action !== undefined && method === 'GET') {
    const session = objects.sessions.get(action);
    return session ? ok(expandedSession(objects, session, form)) : missing();
  }
  if (path === '/v1/payment_intents' && method === 'POST') return openIntent(objects, form);
  if (kind === 'payment_intents' && id !== undefined) {
    const intent = objects.intents.get(id);
    if (!intent || last !== undefined) return missing();
    if (method === 'GET' && action === undefined) return ok(expandedIntent(objects, intent, form));
    if (method === 'POST' && action === 'confirm') return confirm(objects, intent, form, options);
    if (method === 'POST' && action === 'cancel') return cancel(objects, intent, form);
  }
  if (path === '/v1/disputes' && method === 'GET') {
    const all = [...objects.disputes.values()];
    const data = all.filter((d) => d.payment_intent === form.get('payment_intent'));
    return ok({ object: 'list', data, has_more: false, url: path });
  }
  return missing();
}

function openSession(objects: PaymentObjects, form: Form, { checkoutUrl }: ApiOptions): ApiAnswer {
  const item = 'line_items[0]';
  const amount = Number(form.get(`${item}[price_data][unit_amount]`));
  const needed = ['success_url', 'cancel_url', `${item}[price_data][product_data][name]`];
  if (form.get('mode') !== 'payment' || needed.some((name) => !form.get(name)))
    return apiFailure(400, 'invalid_request_error', 'parameter_missing');
  if (!(amount >= 50)) return apiFailure(400, 'invalid_request_error', 'amount_too_small');
  const id = objects.newId('cs');
  const session = objects.addSession({
    id,
    metadata: fields(form, 'metadata'),
    amount_total: amount * Number(form.get(`${item}[quantity]`)),
    currency: form.get(`${item}[price_data][currency]`) ?? '',
    expires_at: Math.floor(objects.clock() / 1_000) + SESSION_LIFE_S,
    payment_intent_data: fields(form, 'payment_intent_data[metadata]'),
    title: form.get(`${item}[price_data][product_data][name]`) ?? '',
    success_url: form.get('success_url') ?? '',
    cancel_url: form.get('cancel_url') ?? '',
    url: checkoutUrl(id),
  });
  return ok(session);
}

function openIntent(objects: PaymentObjects, form: Form): ApiAnswer {
  if (!form.get('customer') || !form.get('payment_method'))
    return apiFailure(400, 'invalid_request_error', 'parameter_missing');
  const amount = Number(form.get('amount'));
  const intent = objects.addIntent(amount, form.get('currency') ?? '', fields(form, 'metadata'));
  objects.change(intent, { status: 'requires_confirmation' });
  return ok(intent);
}

/** An intent in these can be neither charged nor cancelled. */
const ENDED: readonly string[] = ['succeeded', 'processing', 'canceled'];

function confirm(
  objects: PaymentObjects,
  intent: Intent,
  form: Form,
  { endOf }: ApiOptions,
): ApiAnswer {
  if (ENDED.includes(intent.status)) return unexpectedState();
  if (form.get('off_session') !== 'true')
    return apiFailure(400, 'invalid_request_error', 'parameter_missing');
  objects.confirm(intent, endOf(form.get('payment_method') ?? ''));
  const { last_payment_error: error } = intent;
  if (error === null) return ok(intent);
  const body = { message: 'declined', type: 'card_error', ...error, payment_intent: intent };
  return { status: 402, body: structuredClone({ error: body }) };
}

function cancel(objects: PaymentObjects, intent: Intent, form: Form): ApiAnswer {
  if (ENDED.includes(intent.status)) return unexpectedState();
  objects.cancel(intent, form.get('cancellation_reason') ?? null);
  return ok(intent);
}

function expandedSession(objects: PaymentObjects, session: Session, form: Form): object {
  const intent = objects.intents.get(session.payment_intent ?? '');
  const expand = form.get('expand[0]')?.startsWith('payment_intent');
  if (!intent || !expand) return session;
  const charge = objects.charges.get(intent.latest_charge ?? '') ?? null;
  return { ...session, payment_intent: { ...intent, latest_charge: charge } };
}

function expandedIntent(objects: PaymentObjects, intent: Intent, form: Form): object {
  if (form.get('expand[0]') !== 'latest_charge') return intent;
  return { ...intent, latest_charge: objects.charges.get(intent.latest_charge ?? '') ?? null };
}

function fields(form: Form, prefix: string): Metadata {
  const own = [...form].filter(([name]) => name.startsWith(`${prefix}[`));
  return Object.fromEntries(
    own.map(([name, value]) => [name.slice(prefix.length + 1, -1), value] as const),
  );
}

const ok = (body: object): ApiAnswer => ({ status: 200, body: structuredClone(body) });

export const apiFailure = (status: number, type: string, code: string): ApiAnswer => ({
  status,
  body: { error: { type, code, message: `refused: ${code}` } },
});

const missing = (): ApiAnswer => apiFailure(404, 'invalid_request_error', 'resource_missing');

const unexpectedState = (): ApiAnswer =>
  apiFailure(400, 'invalid_request_error', 'payment_intent_unexpected_state');
