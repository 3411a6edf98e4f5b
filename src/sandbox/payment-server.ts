/**
 * The test payment provider over HTTP, on loopback: Stripe's API for the service, and the checkout page for people.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { CONTENT_SECURITY_POLICY, checkoutPage, messagePage } from './checkout-page.ts';
import type { ChargeEnd, PaymentObjects } from './payment-objects.ts';
import type { PaymentStore } from './payment-store.ts';
import { actOn, findPayment, PAYMENT_ACTIONS } from './payments-of.ts';
import { type ApiAnswer, answerApi, apiFailure } from './stripe-api.ts';

export type PaymentServerOptions = {
  readonly store: PaymentStore;
  /** 0 chooses a free one. */
  readonly port: number;
  /** What the service shows to the API. */
  readonly secretKey: string;
  /** To be called after something changed that webhooks tell of. */
  readonly onChange: () => void;
  readonly log: Logger;
};

export type PaymentServer = { readonly port: number; stop(): Promise<void> };

const HOST = '127.0.0.1';
const BODY_MAX = 64 * 1024;
const TIMEOUT_MS = 10_000;
const CHECKOUT = /^\/pay\/(cs_test_\w+)$/;

export async function startPaymentServer(options: PaymentServerOptions): Promise<PaymentServer> {
  const server = createServer(
    { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS },
    async (request, response) => {
      try {
        await serve(options, portOf(), request, response);
      } catch (error) {
        options.log.error({ err: error }, 'the test payment provider failed');
        if (!response.headersSent) sendJson(response, apiFailure(500, 'api_error', 'internal'));
      }
    },
  );
  const portOf = () => (server.address() as AddressInfo).port;
  server.listen(options.port, HOST);
  await once(server, 'listening').catch((error: Error) => {
    throw new Error(
      `cannot listen on ${HOST}:${options.port} for SANDBOX_PAYMENTS_PORT: ${error.message}`,
    );
  });
  return {
    port: portOf(),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  options: PaymentServerOptions,
  port: number,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const { method = '', headers } = request;
  const own = [`${HOST}:${port}`, `localhost:${port}`];
  // A page of another site could have a browser pay, under a name that leads here.
  const isOurs =
    own.includes(headers.host ?? '') &&
    (headers.origin === undefined || own.some((host) => headers.origin === `http://${host}`));
  if (!isOurs) return sendPage(response, 403, messagePage('This is not your page.'));
  const text = await readBody(request);
  if (text === null) return sendPage(response, 413, messagePage('This is too long.'));
  const url = new URL(request.url ?? '', `http://${HOST}:${port}`);
  const [, sessionId] = CHECKOUT.exec(url.pathname) ?? [];
  if (sessionId !== undefined)
    return await serveCheckout(options, sessionId, method, text, response);
  if (!url.pathname.startsWith('/v1/'))
    return sendPage(
      response,
      404,
      messagePage(
        'There is nothing here. scrip purchases buy opens a checkout, and prints its page.',
      ),
    );
  if (headers.authorization !== `Bearer ${options.secretKey}`)
    return sendJson(response, apiFailure(401, 'invalid_request_error', 'invalid_api_key'));
  const apiRequest = {
    method,
    path: url.pathname,
    form: new Map(new URLSearchParams(method === 'GET' ? url.search : text)),
    idempotencyKey: String(headers['idempotency-key'] ?? ''),
    content: `${method} ${url.pathname}${text}`,
  };
  const answer = await options.store.change((objects) =>
    answerApi(objects, apiRequest, {
      endOf: endOfMethod,
      checkoutUrl: (id) => `http://localhost:${port}/pay/${id}`,
    }),
  );
  sendJson(response, answer);
  if (method !== 'GET') options.onChange();
}

/** As Stripe names its test payment methods, such as "pm_card_chargeDeclinedInsufficientFunds". Others succeed. */
export function endOfMethod(paymentMethod: string): ChargeEnd {
  const name = paymentMethod.toLowerCase();
  if (name.includes('insufficientfunds')) return 'insufficient_funds';
  if (name.includes('expiredcard')) return 'expired_card';
  if (name.includes('authenticationrequired')) return 'authentication_required';
  if (name.includes('declined')) return 'generic_decline';
  return 'succeeded';
}

async function serveCheckout(
  { store, onChange }: PaymentServerOptions,
  sessionId: string,
  method: string,
  text: string,
  response: ServerResponse,
) {
  if (method !== 'POST') {
    const shown = await store.change((objects) => pageOf(objects, sessionId));
    sendPage(response, shown ? 200 : 404, shown ?? messagePage('There is no such checkout.'));
    return;
  }
  const action = PAYMENT_ACTIONS.find(
    (one) =>
      one === new URLSearchParams(text).get('action') && (one === 'PAY' || one === 'DECLINE'),
  );
  const next = await store.change((objects) => {
    const session = objects.sessions.get(sessionId);
    if (!session || !action) return null;
    const refused = actOn(objects, session.metadata['purchase_id'] ?? '', action);
    return refused === null && action === 'PAY'
      ? session.success_url.replaceAll('{CHECKOUT_SESSION_ID}', sessionId)
      : `/pay/${sessionId}`;
  });
  onChange();
  if (next === null) return sendPage(response, 404, messagePage('There is no such checkout.'));
  response.writeHead(303, { location: next, 'content-security-policy': "default-src 'none'" });
  response.end();
}

function pageOf(objects: PaymentObjects, sessionId: string): string | null {
  const session = objects.sessions.get(sessionId);
  const payment = session && findPayment(objects, session.metadata['purchase_id'] ?? '');
  if (!session || !payment) return null;
  return checkoutPage({ title: session.title, cancelUrl: session.cancel_url, payment });
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > BODY_MAX) return null;
  }
  return text;
}

function sendJson(response: ServerResponse, { status, body }: ApiAnswer) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function sendPage(response: ServerResponse, status: number, html: string) {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    // With "no-referrer" the form of a browser says "null" for its origin.
    'referrer-policy': 'same-origin',
    'cache-control': 'no-store',
  });
  response.end(html);
}
