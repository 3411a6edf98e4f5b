/** A sandbox: what a service that was started with --sandbox has besides the service. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { ReplicaClock } from '../clock/replica-clock.ts';
import type { Em } from '../pg/orm.ts';
import { ClockMoves, type Move } from './clock-moves.ts';
import { findHappenings, type Happening } from './happenings.ts';
import { type PaymentServer, startPaymentServer } from './payment-server.ts';
import { PaymentStore } from './payment-store.ts';
import { actOn, findPayment, type Payment, type PaymentAction, paymentsOf } from './payments-of.ts';
import type { SandboxClock } from './sandbox-clock.ts';
import { WebhookSender } from './webhook-sender.ts';

export type SandboxOptions = {
  readonly em: () => Em;
  readonly clock: ReplicaClock;
  readonly sandboxClock: SandboxClock;
  /** Of the test payment provider; 0 chooses a free one. */
  readonly paymentsPort: number;
  readonly log: Logger;
};

/** What others may ask: whether it is a sandbox, and what time it is there. */
export type SandboxInfo = {
  /** The sandbox's time, in epoch milliseconds. */
  now(): number;
  /** How far it was moved in all, in milliseconds. */
  readonly movedMs: number;
  /** Port of the test payment provider. */
  readonly paymentsPort: number;
};

/** Null: the provider has nothing of the purchase. A text: why it cannot be done. */
export type Acted = null | string | { readonly payment: Payment; readonly isDelivered: boolean };

export class Sandbox implements SandboxInfo {
  readonly #options: SandboxOptions;
  readonly #store: PaymentStore;
  readonly #server: PaymentServer;
  readonly #secretKey: string;
  readonly #webhookSecret = `whsec_${randomBytes(24).toString('hex')}`;
  #sender: WebhookSender | null = null;
  #moves: ClockMoves | null = null;

  /** Starts the test payment provider. */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const { em, clock, paymentsPort: port, log } = options;
    const store = new PaymentStore(em, () => clock.now());
    const secretKey = `sk_test_${randomBytes(24).toString('hex')}`;
    const onChange = () => sandbox.#sender?.wake();
    const server = await startPaymentServer({ store, port, secretKey, onChange, log });
    const sandbox = new Sandbox(options, store, server, secretKey);
    return sandbox;
  }

  private constructor(
    options: SandboxOptions,
    store: PaymentStore,
    server: PaymentServer,
    secretKey: string,
  ) {
    this.#options = options;
    this.#store = store;
    this.#server = server;
    this.#secretKey = secretKey;
  }

  /** The configuration of a service whose payment provider this is. */
  get config() {
    return {
      STRIPE_SECRET_KEY: this.#secretKey,
      STRIPE_API_BASE: `http://127.0.0.1:${this.#server.port}`,
      STRIPE_WEBHOOK_SECRET: this.#webhookSecret,
    };
  }

  get paymentsPort(): number {
    return this.#server.port;
  }

  get movedMs(): number {
    return this.#options.sandboxClock.offsetMs;
  }

  now(): number {
    return this.#options.clock.now();
  }

  /** To be called once the service works: with what does all that is due, and where it receives webhooks. */
  connect(work: () => Promise<void>, webhooks: { readonly port: number; readonly path: string }) {
    const { em, log } = this.#options;
    this.#sender = new WebhookSender({
      em,
      now: () => this.now(),
      url: `http://127.0.0.1:${webhooks.port}${webhooks.path}`,
      secret: this.#webhookSecret,
      log,
    });
    const workAndTell = async () => {
      await work();
      await this.#sender?.send();
    };
    this.#moves = new ClockMoves({ ...this.#options, work: workAndTell });
  }

  /** Moves the clock to `until`, in epoch milliseconds, or as far as it comes within two seconds. */
  async advance(until: number): Promise<Move> {
    if (!this.#moves) throw new Error('the sandbox is not connected');
    return await this.#moves.advance(until);
  }

  happenings(since: number, until: number): Promise<readonly Happening[]> {
    return findHappenings(this.#options.em(), since, until);
  }

  payments(): Promise<readonly Payment[]> {
    return this.#store.change(paymentsOf);
  }

  /** Does something to the payment of a purchase, and has the service told. */
  async act(purchaseId: string, action: PaymentAction): Promise<Acted> {
    const acted = await this.#store.change((objects) => {
      if (!findPayment(objects, purchaseId)) return null;
      return actOn(objects, purchaseId, action) ?? findPayment(objects, purchaseId);
    });
    if (acted === null || typeof acted === 'string') return acted;
    return { payment: acted, isDelivered: (await this.#sender?.send()) ?? false };
  }

  async stop(): Promise<void> {
    await this.#sender?.stop();
    await this.#server.stop();
  }
}
