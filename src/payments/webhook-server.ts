/**
 * Receives Stripe's webhooks over HTTP. Only events that Stripe signed are processed. An event is
 * answered with 2xx once its effect is durable: until then Stripe delivers it again, for days.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import Stripe from 'stripe';
import type { Clock } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import { toDatabaseFailure } from '../pg/failures.ts';
import {
  failSpan,
  linkTo,
  refOf,
  type SpanOf,
  type Tracing,
  within,
} from '../telemetry/tracing.ts';
import type { Payments } from './payments.ts';
import { isUnavailable, refusalCodeOf } from './stripe.ts';
import { type FindImported, isEvent, purchaseRefOf } from './webhook-event.ts';

export type WebhookOptions = {
  readonly stripe: Stripe;
  /** Calls `use` with the payments of the account's cell. It fails where a call on the account would, as while its cell is down. */
  readonly withPayments: WithPayments;
  /** Of all cells. Rejects with a Failure where it can be in a cell that cannot be used. */
  readonly findImported: FindImported;
  /** A signature with any of them is accepted: there are two while a secret is being replaced. */
  readonly secrets: readonly string[];
  /** The maximum age of a signature, in seconds. */
  readonly toleranceS: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

export type WithPayments = (
  accountId: string,
  use: (payments: Payments) => ReturnType<Payments['sync']>,
) => ReturnType<Payments['sync']>;

export type WebhookServer = {
  readonly port: number;
  /** Accepts no further requests, waits `graceMs` for those in progress, and closes their connections. */
  stop(graceMs: number): Promise<void>;
};

export const WEBHOOK_PATH = '/webhooks/stripe';

/** Stripe's events have a few kilobytes, those of disputes with all their evidence about 150. */
const BODY_MAX = 512 * 1024;
/** With the largest body on each, they need 100 MiB. */
const CONNECTIONS_MAX = 200;
/** Time limit for receiving a request. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Events processed at the same time. Stripe delivers a refused one again. */
const CONCURRENCY_MAX = 64;

type Reply = { readonly status: number; readonly text: string };

export async function startWebhookServer(
  options: WebhookOptions,
  host: string,
  port: number,
): Promise<WebhookServer> {
  const load = { inProgress: 0 };
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    },
    async (request, response) =>
      sendReply(request, response, await handleRequest(options, load, request)),
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

function sendReply(request: IncomingMessage, response: ServerResponse, { status, text }: Reply) {
  // The unread rest of a body that is too large must not be parsed as the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
}

async function handleRequest(
  options: WebhookOptions,
  load: { inProgress: number },
  request: IncomingMessage,
): Promise<Reply> {
  if (request.url?.split('?')[0] !== WEBHOOK_PATH) return { status: 404, text: 'not found' };
  if (request.method !== 'POST') return { status: 405, text: 'POST only' };
  const body = await readBody(request).catch(() => 'cut off' as const);
  if (body === 'cut off') return { status: 400, text: 'the request was cut off' };
  if (!body) return { status: 413, text: `at most ${BODY_MAX} bytes` };
  // Before the limit: unsigned requests cannot use up the places of Stripe's events.
  const event = verifyEvent(options, body, request.headers['stripe-signature']);
  if (event instanceof Failure) return { status: 503, text: 'not now' };
  if (event === undefined) return { status: 400, text: 'not signed by Stripe, or too long ago' };
  if (!isEvent(event)) return { status: 400, text: 'no event that this service can read' };
  if (load.inProgress >= CONCURRENCY_MAX)
    return { status: 503, text: 'too many events in progress' };
  load.inProgress += 1;
  try {
    return await processEvent(options, event);
  } catch (error) {
    options.log.error({ err: error, event: event.id, type: event.type }, 'bug');
    return { status: 500, text: 'internal error' };
  } finally {
    load.inProgress -= 1;
  }
}

/** The raw body, byte for byte, as the signature covers it; null where it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
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

/**
 * The body as JSON; undefined where no secret of ours signed it, or too long ago. Its age counts by the
 * service's clock: by a wrong clock of the host every event would be too old. Without a time: the Failure.
 */
function verifyEvent(
  { stripe, secrets, toleranceS, clock }: WebhookOptions,
  body: Buffer,
  signature: string | string[] | undefined,
): unknown {
  if (typeof signature !== 'string') return undefined;
  for (const secret of secrets)
    try {
      const { webhooks } = stripe;
      return webhooks.constructEvent(body, signature, secret, toleranceS, undefined, clock.now());
    } catch (error) {
      if (error instanceof Failure) return error;
      const isForged = error instanceof Stripe.errors.StripeSignatureVerificationError;
      // A signed body that is not JSON is none of Stripe's events.
      if (!isForged && !(error instanceof SyntaxError)) throw error;
    }
  return undefined;
}

async function processEvent(options: WebhookOptions, event: Stripe.Event): Promise<Reply> {
  const span = options.tracing.start('POST /webhooks/stripe', {
    attributes: {
      'http.request.method': 'POST',
      'http.route': WEBHOOK_PATH,
      'stripe.event.id': event.id,
      'stripe.event.type': event.type,
    },
  });
  try {
    const reply = await within(refOf(span), () => tryToSync(options, event, span));
    span.setAttributes({
      'http.response.status_code': reply.status,
      'scrip.outcome': reply.text,
    });
    if (reply.status >= 500) failSpan(span, String(reply.status));
    return reply;
  } catch (error) {
    failSpan(span, 'INTERNAL');
    throw error;
  } finally {
    span.end();
  }
}

async function tryToSync(
  options: WebhookOptions,
  event: Stripe.Event,
  span: SpanOf<'POST /webhooks/stripe'>,
): Promise<Reply> {
  try {
    return await syncPurchaseOf(options, event, span);
  } catch (error) {
    const isOutage =
      error instanceof Failure ||
      isUnavailable(error) ||
      refusalCodeOf(error) !== null ||
      toDatabaseFailure(error);
    if (!isOutage) throw error;
    options.log.warn({ err: error, event: event.id, type: event.type }, 'webhook postponed');
    return { status: 503, text: 'not now' };
  }
}

async function syncPurchaseOf(
  { stripe, withPayments, findImported, log }: WebhookOptions,
  event: Stripe.Event,
  span: SpanOf<'POST /webhooks/stripe'>,
): Promise<Reply> {
  const ref = await purchaseRefOf(stripe, findImported, event);
  if (!ref) return { status: 200, text: 'no purchase of this service' };
  const { accountId, purchaseId, paymentRef } = ref;
  span.setAttributes({ 'scrip.account.id': accountId, 'scrip.purchase.id': purchaseId });
  linkTo(span, ref.began);
  const synced = await withPayments(accountId, (payments) =>
    payments.sync(accountId, purchaseId, paymentRef, refOf(span)),
  );
  if (!(synced instanceof Failure)) return { status: 200, text: 'processed' };
  const { reason, message } = synced;
  const named = {
    event: event.id,
    type: event.type,
    account_id: accountId,
    purchase_id: purchaseId,
  };
  // Of another service on the same Stripe account: a repeated delivery would change nothing.
  if (reason === 'PURCHASE_NOT_FOUND' || reason === 'ACCOUNT_NOT_FOUND') {
    log.warn(named, 'webhook of an unknown purchase');
    return { status: 200, text: 'no purchase of this service' };
  }
  log.warn({ ...named, reason, message }, 'webhook postponed');
  return { status: 503, text: 'not now' };
}
