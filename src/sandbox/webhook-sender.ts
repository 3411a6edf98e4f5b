/**
 * Delivers the webhooks of the test payment provider to the service, in their order. One that the service did not
 * process stays in the database and is delivered again.
 */
import type { Logger } from 'pino';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { Poller } from '../poller.ts';
import { webhookSignature } from './webhook.ts';

export type WebhookSenderOptions = {
  readonly em: () => Em;
  /** The sandbox's time, in epoch milliseconds. */
  readonly now: () => number;
  /** Where the service receives webhooks. */
  readonly url: string;
  readonly secret: string;
  readonly log: Logger;
};

const INTERVAL_MS = 5_000;
const BATCH_MAX = 50;
const TIMEOUT_MS = 10_000;

export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #poller: Poller;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
    this.#poller = new Poller({
      name: 'webhooks of the test payment provider',
      run: () => this.#sendBatch(),
      intervalMs: INTERVAL_MS,
      log: options.log,
    });
  }

  /** Delivers all there are. Resolves to whether none is left. */
  async send(): Promise<boolean> {
    await this.#poller.drain();
    const rows = await query(
      this.#options.em(),
      'select 1 from sandbox.payment_webhooks limit 1',
      [],
    );
    return rows.length === 0;
  }

  wake() {
    this.#poller.wake();
  }

  stop(): Promise<void> {
    return this.#poller.stop();
  }

  async #sendBatch(): Promise<boolean> {
    const rows = await query<{ id: string; body: string }>(
      this.#options.em(),
      'select id::text, body from sandbox.payment_webhooks order by id limit $1',
      [BATCH_MAX],
    );
    let sent = 0;
    for (const { id, body } of rows) {
      if (!(await this.#isProcessed(body))) continue;
      await query(
        this.#options.em(),
        'delete from sandbox.payment_webhooks where id = $1::bigint',
        [id],
      );
      sent += 1;
    }
    return sent > 0 && rows.length === BATCH_MAX;
  }

  async #isProcessed(body: string): Promise<boolean> {
    const { url, secret, log } = this.#options;
    const at = this.#options.now();
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'stripe-signature': webhookSignature(body, at, secret),
        },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.arrayBuffer();
      return response.ok;
    } catch (error) {
      log.debug({ err: error }, 'webhook of the test payment provider not delivered');
      return false;
    }
  }
}
