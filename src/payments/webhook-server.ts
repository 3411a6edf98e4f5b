/**
 * Takes Stripe's webhooks over HTTP. Only what Stripe signed is looked at, and it is answered 2xx only
 * when its effect is durable: until then Stripe delivers it again, for days.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpanKind, type Tracer } from '@opentelemetry/api';
import type { Logger } from 'pino';
import Stripe from 'stripe';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import { failureOfDatabase } from '../pg/failures.ts';
import type { Payments, Trace } from './payments.ts';
import { isUnavailable, refusalOf } from './stripe.ts';
import { purchaseRefOf } from './webhook-event.ts';

export type WebhookOptions = {
  readonly payments: Payments;
  /** Any of them may have signed: two while a secret is being rolled. */
  readonly secrets: readonly string[];
  /** How old a signature may be, in seconds. */
  readonly toleranceS: number;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly log: Logger;
};

export type WebhookServer = {
  readonly port: number;
  /** Takes nothing more, and finishes what was taken; cuts what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

export const WEBHOOK_PATH = '/webhooks/stripe';

/** Stripe's events have some kilobytes, those of disputes with all their evidence some 150. */
const BODY_MAX = 512 * 1024;
/** With the largest body each they take 100 MiB. */
const CONNECTIONS_MAX = 200;
/** How long a request may take to arrive. */
const ARRIVAL_MAX_MS = 10_000;
/** Events looked at at the same time; Stripe delivers again what is refused. */
const AT_ONCE_MAX = 64;

/** What an event is answered with. */
type Reply = { readonly status: number; readonly text: string };

export async function startWebhookServer(
  options: WebhookOptions,
  host: string,
  port: number,
): Promise<WebhookServer> {
  const gate = { atOnce: 0 };
  const server = createServer(
    {
      requestTimeout: ARRIVAL_MAX_MS,
      headersTimeout: ARRIVAL_MAX_MS,
      connectionsCheckingInterval: 1_000,
    },
    async (request, response) =>
      answer(request, response, await handleRequest(options, gate, request)),
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(port, host);
  await once(server, 'listening').catch((error: Error) => {
    throw new Error(`cannot listen on ${host}:${port} for webhooks: ${error.message}`);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop(graceMs) {
      const closed = once(server, 'close');
      server.close();
      await Promise.race([closed, sleep(graceMs, undefined, { ref: false })]);
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, { status, text }: Reply) {
  // What was not read of a body that is too large must not be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
}

async function handleRequest(
  options: WebhookOptions,
  gate: { atOnce: number },
  request: IncomingMessage,
): Promise<Reply> {
  if (request.url?.split('?')[0] !== WEBHOOK_PATH) return { status: 404, text: 'not here' };
  if (request.method !== 'POST') return { status: 405, text: 'POST only' };
  const body = await bodyOf(request).catch(() => 'cut off' as const);
  if (body === 'cut off') return { status: 400, text: 'the request was cut off' };
  if (!body) return { status: 413, text: `at most ${BODY_MAX} bytes` };
  // Only what Stripe sent gets to the gate: nobody else can keep Stripe from it.
  const event = verified(options, body, request.headers['stripe-signature']);
  if (!event) return { status: 400, text: 'not signed by Stripe, or too long ago' };
  if (gate.atOnce >= AT_ONCE_MAX) return { status: 503, text: 'too many events at once' };
  gate.atOnce += 1;
  try {
    return await processEvent(options, event);
  } catch (error) {
    options.log.error({ err: error, event: event.id, type: event.type }, 'bug');
    return { status: 500, text: 'internal error' };
  } finally {
    gate.atOnce -= 1;
  }
}

/** The raw body: the signature covers its very bytes. Null where it is too large. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_MAX) return null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function verified(
  { payments, secrets, toleranceS, clock }: WebhookOptions,
  body: Buffer,
  signature: string | string[] | undefined,
): Stripe.Event | null {
  if (typeof signature !== 'string') return null;
  for (const secret of secrets)
    try {
      const { webhooks } = payments.stripe;
      return webhooks.constructEvent(body, signature, secret, toleranceS, undefined, clock());
    } catch (error) {
      const forged = error instanceof Stripe.errors.StripeSignatureVerificationError;
      // Signed, and yet no JSON: nothing that Stripe sends.
      if (!forged && !(error instanceof SyntaxError)) throw error;
    }
  return null;
}

async function processEvent(options: WebhookOptions, event: Stripe.Event): Promise<Reply> {
  const span = options.tracer.startSpan(`stripe ${event.type}`, { kind: SpanKind.SERVER });
  try {
    return await effectOf(options, event, span.spanContext());
  } catch (error) {
    const away = isUnavailable(error) || refusalOf(error) !== null || failureOfDatabase(error);
    if (!away) throw error;
    options.log.warn({ err: error, event: event.id, type: event.type }, 'webhook put off');
    return { status: 503, text: 'not now' };
  } finally {
    span.end();
  }
}

async function effectOf(
  { payments, log }: WebhookOptions,
  event: Stripe.Event,
  { traceId, spanId }: Trace,
): Promise<Reply> {
  const about = await purchaseRefOf(payments.stripe, event);
  if (!about) return { status: 200, text: 'none of ours' };
  const { accountId, purchaseId, subject } = about;
  const seen = await payments.sync(accountId, purchaseId, subject, { traceId, spanId });
  if (!(seen instanceof Failure)) return { status: 200, text: 'taken in' };
  const { reason } = seen;
  const told = {
    event: event.id,
    type: event.type,
    account_id: accountId,
    purchase_id: purchaseId,
  };
  // Somebody else's, on the same Stripe account: delivering it again would change nothing.
  if (reason === 'PURCHASE_NOT_FOUND' || reason === 'ACCOUNT_NOT_FOUND') {
    log.warn(told, 'webhook of a purchase that is not here');
    return { status: 200, text: 'none of ours' };
  }
  log.warn({ ...told, reason, message: seen.message }, 'webhook put off');
  return { status: 503, text: 'not now' };
}
