/** Answers of the console, each with the headers that keep its page to itself. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ConsoleError } from './console-error.ts';
import type { PageFile } from './page-files.ts';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const NEVER_STORED = 'no-store';
const ALWAYS_ASKED = 'no-cache';
/** The name of an asset contains the hash of its content. */
const FOR_EVER = 'public, max-age=31536000, immutable';

type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer | string;
};

export class Replier {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}) {
    const bytes = JSON.stringify(value);
    const own = { 'content-type': 'application/json', 'cache-control': NEVER_STORED };
    this.#send({ status, headers: { ...own, ...headers }, bytes });
  }

  error({ status, body }: ConsoleError, headers: Readonly<Record<string, string>> = {}) {
    this.json(status, { error: body }, headers);
  }

  file({ type, bytes, gzipped }: PageFile, isAsset: boolean) {
    const isGzipped = /\bgzip\b/.test(String(this.#request.headers['accept-encoding'] ?? ''));
    this.#send({
      status: 200,
      headers: {
        'content-type': type,
        'cache-control': isAsset ? FOR_EVER : ALWAYS_ASKED,
        vary: 'accept-encoding',
        ...(isGzipped && { 'content-encoding': 'gzip' }),
      },
      bytes: isGzipped ? gzipped : bytes,
    });
  }

  text(status: number, text: string) {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': NEVER_STORED };
    this.#send({ status, headers, bytes: `${text}\n` });
  }

  redirect(location: string) {
    this.#send({ status: 302, headers: { location, 'cache-control': NEVER_STORED }, bytes: '' });
  }

  #send({ status, headers, bytes }: Reply) {
    const request = this.#request;
    const response = this.#response;
    // The unread rest of a body must not be parsed as the next request.
    const isUnread = !request.complete;
    response.writeHead(status, {
      ...SECURITY_HEADERS,
      ...headers,
      'content-length': Buffer.byteLength(bytes),
      ...(isUnread && { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
    if (isUnread) response.once('finish', () => request.socket.destroySoon());
  }
}
