/**
 * The webhook endpoint that events are posted to, signed as Standard Webhooks specifies. `post` never
 * throws: every error between here and the endpoint is a failed attempt.
 */
import { Webhook } from 'standardwebhooks';
import type { PositionedEvent } from '../store/tables/events.ts';
import { retryAfterMs } from './backoff.ts';
import { CLOUD_EVENT_TYPE, cloudEventJson } from './cloud-event.ts';

export type WebhookEndpointOptions = {
  readonly url: string;
  /** Every secret signs every delivery, so that a receiver can change its secret without a gap. */
  readonly secrets: readonly string[];
  /** CloudEvents' `source`. */
  readonly source: string;
  /** For the whole exchange: connect, send and receive the response. */
  readonly timeoutMs: number;
};

export type PostResult =
  | { readonly kind: 'delivered'; readonly status: number }
  | {
      readonly kind: 'failed';
      /** Null: there was no response. */
      readonly status: number | null;
      readonly error: string;
      readonly retryAfterMs: number | null;
      /** The endpoint says that it will never accept the event (410). */
      readonly gone: boolean;
    };

export class WebhookEndpoint {
  readonly #options: WebhookEndpointOptions;
  readonly #webhooks: readonly Webhook[];

  constructor(options: WebhookEndpointOptions) {
    this.#options = options;
    this.#webhooks = options.secrets.map((secret) => new Webhook(secret));
  }

  /** Where it is, as spans say it. */
  get address(): { readonly host: string; readonly port: number } {
    const { hostname, port, protocol } = new URL(this.#options.url);
    return { host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) };
  }

  /** `signal` cancels the attempt, which has failed then. */
  async post(
    event: PositionedEvent,
    traceparent: string | null,
    signal: AbortSignal,
  ): Promise<PostResult> {
    const { url, source, timeoutMs } = this.#options;
    const body = cloudEventJson(event, source);
    const headers = {
      'content-type': CLOUD_EVENT_TYPE,
      'user-agent': 'scrip',
      ...(traceparent && { traceparent }),
      ...this.#signatureHeaders(event.eventId, body),
    };
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body,
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]),
      });
      return await toPostResult(response);
    } catch (error) {
      const failed = { error: messageOf(error), retryAfterMs: null, gone: false };
      return { kind: 'failed', status: null, ...failed };
    }
  }

  /** The timestamp is real time, as receivers compare it with their own clocks. */
  #signatureHeaders(eventId: string, body: string): Record<string, string> {
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

async function toPostResult(response: Response): Promise<PostResult> {
  const { ok, status, statusText, headers } = response;
  const excerpt = await readExcerpt(response);
  // The status alone decides, whether or not the body could be read.
  if (ok) return { kind: 'delivered', status };
  return {
    kind: 'failed',
    status,
    error: [`${status} ${statusText}`.trim(), excerpt].filter(Boolean).join(': '),
    retryAfterMs: retryAfterMs(headers.get('retry-after'), Date.now()),
    gone: status === 410,
  };
}

const EXCERPT_BYTES = 500;

/** The first bytes of a response's body as one line of text. The rest, of any size, is not read. */
async function readExcerpt({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= EXCERPT_BYTES) break;
    }
  } catch {
    // The body was cut off: the excerpt is what arrived.
  }
  const text = Buffer.concat(chunks).subarray(0, EXCERPT_BYTES).toString('utf8');
  return text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
}

/** The message of the cause where there is one: fetch wraps the system's error in its own. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const message = cause instanceof Error ? cause.message || code : '';
  return message ? `${error.message}: ${message}` : error.message;
}
