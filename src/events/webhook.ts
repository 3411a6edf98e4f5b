/**
 * The webhook endpoint: posts one event to it, signed after Standard Webhooks, and says how that went.
 * It never throws: whatever goes wrong between here and there is a failed attempt.
 */
import { Webhook } from 'standardwebhooks';
import type { PositionedEvent } from '../store/events.ts';
import { retryAfterMs } from './backoff.ts';
import { CLOUD_EVENT_TYPE, cloudEventJson } from './cloud-event.ts';

export type EndpointOptions = {
  readonly url: string;
  /** Each signs every delivery, so that a secret can be replaced without a gap. */
  readonly secrets: readonly string[];
  /** CloudEvents' `source`. */
  readonly source: string;
  /** For the whole exchange: connecting, sending, and the answer. */
  readonly timeoutMs: number;
};

export type Posted =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'failed';
      readonly error: string;
      readonly retryAfterMs: number | null;
      /** The endpoint says that it will never take it (410). */
      readonly gone: boolean;
    };

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #webhooks: readonly Webhook[];

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#webhooks = options.secrets.map((secret) => new Webhook(secret));
  }

  async post(
    event: PositionedEvent,
    traceparent: string | null,
    stopped: AbortSignal,
  ): Promise<Posted> {
    const { url, source, timeoutMs } = this.#options;
    const body = cloudEventJson(event, source);
    const headers = {
      'content-type': CLOUD_EVENT_TYPE,
      'user-agent': 'scrip',
      ...(traceparent && { traceparent }),
      ...this.#signed(event.eventId, body),
    };
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body,
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), stopped]),
      });
      return await postedOf(response);
    } catch (error) {
      return { kind: 'failed', error: wordsOf(error), retryAfterMs: null, gone: false };
    }
  }

  /** The receiver compares the timestamp with its own clock: it is the real time of this attempt. */
  #signed(eventId: string, body: string): Record<string, string> {
    const at = new Date();
    return {
      'webhook-id': eventId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': this.#webhooks
        .map((webhook) => webhook.sign(eventId, at, body))
        .join(' '),
    };
  }
}

async function postedOf(response: Response): Promise<Posted> {
  if (response.ok) {
    // Delivered by its status, whatever becomes of the rest of the answer.
    await beginningOf(response);
    return { kind: 'delivered' };
  }
  const { status, statusText, headers } = response;
  const said = await beginningOf(response);
  return {
    kind: 'failed',
    error: [`${status} ${statusText}`.trim(), said].filter(Boolean).join(': '),
    retryAfterMs: retryAfterMs(headers.get('retry-after'), Date.now()),
    gone: status === 410,
  };
}

const SAID_BYTES = 500;

/**
 * What an answer begins with, for people. The rest is not read: it can be of any size, and come at any
 * pace; the status has said already how the attempt went.
 */
async function beginningOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= SAID_BYTES) break;
    }
  } catch {
    // Cut short: what came so far will do.
  }
  const text = Buffer.concat(chunks).subarray(0, SAID_BYTES).toString('utf8');
  return text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
}

/** fetch wraps the system's words in its own. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const message = cause instanceof Error ? cause.message || code : '';
  return message ? `${error.message}: ${message}` : error.message;
}
