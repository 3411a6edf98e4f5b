/** A webhook endpoint: an HTTP server that verifies signatures with the package of Standard Webhooks. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export const SECRET = `whsec_${Buffer.from('the secret of these tests').toString('base64')}`;

export type CloudEvent = {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: string;
  readonly position: string;
  readonly traceparent?: string;
  readonly data: Readonly<Record<string, string>>;
};

export type Received = {
  readonly event: CloudEvent;
  readonly headers: IncomingMessage['headers'];
  readonly at: number;
};

/** Sends the response to a delivery. */
export type Answer = (response: ServerResponse, received: Received) => void;

export const accepts: Answer = (response) => response.writeHead(204).end();
export const answers =
  (status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body);

export class Receiver {
  /** Every delivery with a valid signature, whatever the response. */
  readonly received: Received[] = [];
  /** The errors of invalid signatures. */
  readonly forged: string[] = [];
  answer: Answer = accepts;
  /** The largest number of deliveries in progress at the same time, so far. */
  concurrency = 0;
  readonly #verifier = new Webhook(SECRET);
  readonly #server = createServer((request, response) => void this.#receive(request, response));
  #inProgress = 0;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}/events?of=scrip`;
  }

  /** The configuration of a service that delivers to this endpoint. */
  get env() {
    return { EVENTS_WEBHOOK_URL: this.url, EVENTS_WEBHOOK_SECRET: SECRET };
  }

  async open(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Stops listening. `open` listens again on the same port. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Ids of the received events, in order. */
  ids(): string[] {
    return this.received.map(({ event }) => event.id);
  }

  async #receive(request: IncomingMessage, response: ServerResponse) {
    this.#inProgress += 1;
    this.concurrency = Math.max(this.concurrency, this.#inProgress);
    response.once('close', () => {
      this.#inProgress -= 1;
    });
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // The sender has cancelled.
    }
    const body = Buffer.concat(chunks).toString('utf8');
    const { headers } = request;
    try {
      this.#verifier.verify(body, headers as Record<string, string>);
    } catch (error) {
      this.forged.push(String(error));
      response.writeHead(401).end();
      return;
    }
    const received = { event: JSON.parse(body) as CloudEvent, headers, at: Date.now() };
    this.received.push(received);
    this.answer(response, received);
  }
}
