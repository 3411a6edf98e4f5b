/**
 * A fake Stripe over HTTP: the payment objects and the API of the sandbox's provider, with what tests need besides:
 * every call is counted, and can be replaced or delayed.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ChargeEnd, PaymentObjects } from '../../src/sandbox/payment-objects.ts';
import { type ApiAnswer, answerApi, apiFailure } from '../../src/sandbox/stripe-api.ts';
import { webhookBody, webhookSignature } from '../../src/sandbox/webhook.ts';

export const SECRET_KEY = 'sk_test_of_the_fake';
export const WEBHOOK_SECRET = 'whsec_of_the_fake';

/** Replaces or delays a response: undefined sends the fake's own, 'hang up' closes the connection. */
export type Intercept = (
  call: string,
  moment: 'before' | 'after',
) => undefined | 'hang up' | ApiAnswer | Promise<undefined | 'hang up' | ApiAnswer>;

export class StripeFake extends PaymentObjects {
  /** Every call, e.g. "POST /v1/checkout/sessions". */
  readonly calls: string[] = [];
  /** The result of charging a payment method; one that is not listed succeeds. */
  readonly methods = new Map<string, ChargeEnd>();
  /** Called twice per call: before its effect, and before its response is sent. */
  intercept: Intercept = () => undefined;
  url = '';
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  constructor() {
    super(Date.now);
  }

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

  /** Drops all idempotency keys, as Stripe may do after a day. */
  forgetKeys() {
    this.keys.clear();
  }

  // HTTP.

  async #serve(request: IncomingMessage, response: ServerResponse) {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '', this.url);
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const call = `${method} ${url.pathname}`;
    this.calls.push(call);
    const form = new Map(new URLSearchParams(method === 'GET' ? url.search : text));
    const replaced = await this.intercept(call, 'before');
    const answer =
      replaced ??
      (headers.authorization === `Bearer ${SECRET_KEY}`
        ? this.#answer({
            method,
            path: url.pathname,
            form,
            idempotencyKey: String(headers['idempotency-key'] ?? ''),
            content: call + text,
          })
        : apiFailure(401, 'invalid_request_error', 'invalid_api_key'));
    const after = replaced === undefined ? await this.intercept(call, 'after') : undefined;
    const sent = after ?? answer;
    if (sent === 'hang up') {
      request.socket.destroy();
      return;
    }
    response.writeHead(sent.status, {
      'content-type': 'application/json',
      'request-id': this.newId('req'),
      // Keeps the client library from retrying, which would only slow down the tests of outages.
      ...(sent.status >= 500 && { 'stripe-should-retry': 'false' }),
    });
    response.end(JSON.stringify(sent.body));
  }

  #answer(request: Parameters<typeof answerApi>[1]): ApiAnswer {
    return answerApi(this, request, {
      endOf: (method) => this.methods.get(method) ?? 'succeeded',
      checkoutUrl: (id) => `https://checkout.stripe.example/${id}`,
    });
  }

  // Webhooks.

  /** An event as Stripe sends it, signed at `at`, in milliseconds. */
  event(type: string, object: object, at = this.clock(), secret = WEBHOOK_SECRET): Webhook {
    const body = webhookBody(type, structuredClone(object), at);
    return { body, signature: signatureOf(body, at, secret) };
  }
}

export type Webhook = { readonly body: string; readonly signature: string };

export const signatureOf = (body: string, at: number, secret = WEBHOOK_SECRET): string =>
  webhookSignature(body, at, secret);

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
