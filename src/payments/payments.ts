/**
 * Purchases that are paid at Stripe: opens their checkout, looks at how they are, and hands what was
 * seen to the account's lane as one command that says how things are. Nothing here holds a database
 * transaction while it waits for Stripe.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type Stripe from 'stripe';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Outcome } from '../ledger/decide.ts';
import type { Origin } from '../ledger/entry.ts';
import { purchaseNotFound } from '../ledger/failures.ts';
import type { PaymentSnapshot, Purchase } from '../ledger/purchase.ts';
import type { Em } from '../pg/orm.ts';
import { loadPurchases } from '../store/load.ts';
import { OPEN_MAX_MS, openSession } from './checkout.ts';
import { fetchSnapshot, PENDING_SNAPSHOT, type Subject } from './payment-snapshot.ts';
import { SharedWork } from './shared-work.ts';
import { isUnavailable, providerUnavailable, refusalOf } from './stripe.ts';

export type PaymentsOptions = {
  readonly stripe: Stripe;
  readonly em: () => Em;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly log: Logger;
};

/** The span that looks. */
export type Trace = Pick<Origin, 'traceId' | 'spanId'>;

/** Looks that overtake each other are made again; each time one of them gets through. */
const TRIES_MAX = 20;

export class Payments {
  readonly #options: PaymentsOptions;
  readonly #opening = new SharedWork<string | Failure>();
  readonly #looking = new SharedWork<Purchase | Failure>();

  constructor(options: PaymentsOptions) {
    this.#options = options;
  }

  get stripe(): Stripe {
    return this.#options.stripe;
  }

  /**
   * The URL at which a purchase by checkout is paid: of the session it has, or of one that is opened
   * now. Always the same; empty where the purchase was paid before anyone could be told its URL.
   */
  open(accountId: string, purchaseId: string, trace: Trace): Promise<string | Failure> {
    return this.#opening.run(`${accountId}\n${purchaseId}`, () =>
      this.#open(accountId, purchaseId, trace),
    );
  }

  async #open(accountId: string, purchaseId: string, trace: Trace): Promise<string | Failure> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const purchase = await this.load(accountId, purchaseId);
      if (!purchase) return purchaseNotFound(accountId, purchaseId);
      if (purchase.session) return purchase.session.url;
      if (purchase.state === 'PAID') return '';
      if (purchase.state !== 'PENDING') return checkoutFailed(purchase);
      const seen = await this.#asking(purchase, () => this.#openOrGiveUp(purchase));
      if (seen instanceof Failure) return seen;
      const observed = await this.applySnapshot(purchase, seen, trace);
      if (observed instanceof Failure) return observed;
    }
    return providerUnavailable();
  }

  async #openOrGiveUp(purchase: Purchase): Promise<PaymentSnapshot> {
    const { stripe, clock } = this.#options;
    if (clock() - purchase.createdAt >= OPEN_MAX_MS)
      return { ...PENDING_SNAPSHOT, payment: 'EXPIRED' };
    const opened = await openSession(stripe, purchase);
    return 'refused' in opened
      ? { ...PENDING_SNAPSHOT, payment: 'FAILED', failureCode: opened.refused }
      : { ...PENDING_SNAPSHOT, session: opened };
  }

  /**
   * Looks at how a purchase is at Stripe and takes that over; answers the purchase after that. What it
   * answers was seen after the call.
   */
  sync(
    accountId: string,
    purchaseId: string,
    subject: Subject,
    trace: Trace,
  ): Promise<Purchase | Failure> {
    const key = [accountId, purchaseId, subject.sessionId, subject.paymentIntentId].join('\n');
    return this.#looking.run(key, () => this.#sync(accountId, purchaseId, subject, trace));
  }

  async #sync(
    accountId: string,
    purchaseId: string,
    subject: Subject,
    trace: Trace,
  ): Promise<Purchase | Failure> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      // Read before Stripe is asked: it tells whether another look was taken over meanwhile.
      const purchase = await this.load(accountId, purchaseId);
      if (!purchase) return purchaseNotFound(accountId, purchaseId);
      const seen = await this.#asking(purchase, () =>
        fetchSnapshot(this.#options.stripe, purchase, subject),
      );
      if (seen instanceof Failure) return seen;
      if (seen === null) return purchase;
      const observed = await this.applySnapshot(purchase, seen, trace);
      if (observed instanceof Failure) return observed;
      if (observed.result === 'other payment') this.#tellSecondPayment(purchase, seen);
      if (observed.result !== 'stale') return observed.purchase;
      await sleep(Math.random() * 50 * tries);
    }
    return providerUnavailable();
  }

  /** A purchase as it was committed last. */
  async load(accountId: string, purchaseId: string): Promise<Purchase | null> {
    const [purchase] = await loadPurchases(this.#options.em(), [{ accountId, key: purchaseId }]);
    return purchase ?? null;
  }

  /** Hands what was seen to the account's lane; resolves when it is durable. */
  applySnapshot(
    { accountId, purchaseId, syncVersion }: Purchase,
    seen: PaymentSnapshot,
    trace: Trace,
  ): Promise<Outcome<'SyncPurchase'> | Failure> {
    const command = { kind: 'SyncPurchase', purchaseId, syncVersion, snapshot: seen } as const;
    return this.#options.lanes.execute(accountId, command, trace);
  }

  /** What Stripe answers; a failure where it cannot. The cause is logged, never sent. */
  async #asking<Answer>(
    { accountId, purchaseId }: Purchase,
    ask: () => Promise<Answer>,
  ): Promise<Answer | Failure> {
    try {
      return await ask();
    } catch (error) {
      if (!isUnavailable(error) && refusalOf(error) === null) throw error;
      const { type, code, message, requestId } = error as Stripe.errors.StripeError;
      this.#options.log.warn(
        {
          account_id: accountId,
          purchase_id: purchaseId,
          stripe: { type, code, message, request_id: requestId },
        },
        'the payment provider did not answer',
      );
      return providerUnavailable();
    }
  }

  #tellSecondPayment(
    { accountId, purchaseId }: Purchase,
    { payment, paymentIntentId }: PaymentSnapshot,
  ) {
    if (payment !== 'PAID') return;
    this.#options.log.error(
      { account_id: accountId, purchase_id: purchaseId, payment_intent_id: paymentIntentId },
      'a purchase was paid a second time; the second payment granted nothing: refund it',
    );
  }
}

function checkoutFailed({ purchaseId, state, failureCode }: Purchase): Failure {
  const why = failureCode && ` (${failureCode})`;
  return new Failure(
    'CHECKOUT_FAILED',
    `purchase ${purchaseId} is ${state}${why} and was given no checkout; buy again under another request id`,
    { purchase_id: purchaseId, state, code: failureCode },
  );
}
