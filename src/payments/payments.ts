/**
 * Purchases that are paid at Stripe: opens their checkout, fetches the state of their payment, and
 * executes that snapshot in the account's lane. No database transaction is open during a call to Stripe.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type Stripe from 'stripe';
import { type Clock, clockUnreliable } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Outcome } from '../ledger/decide.ts';
import type { Trace } from '../ledger/entry.ts';
import { purchaseNotFound } from '../ledger/failures.ts';
import type { PaymentSnapshot, Purchase } from '../ledger/purchase.ts';
import type { Em } from '../pg/orm.ts';
import { formatMoney } from '../pricing/money.ts';
import { findImportedPurchase, findPurchase, findTraceOfPurchase } from '../queries/purchases.ts';
import { type BeganBy, OPEN_AGE_MAX_MS, openSession } from './checkout.ts';
import { fetchSnapshot, type PaymentRef, PENDING_SNAPSHOT } from './payment-snapshot.ts';
import { SingleFlight } from './single-flight.ts';
import { isUnavailable, providerUnavailable, refusalCodeOf } from './stripe.ts';
import type { FindImported } from './webhook-event.ts';

export type PaymentsOptions = {
  readonly stripe: Stripe;
  readonly em: () => Em;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly log: Logger;
};

/** A stale snapshot is fetched again. Each time, one of the concurrent snapshots is applied. */
const ATTEMPTS_MAX = 20;

export class Payments {
  readonly #options: PaymentsOptions;
  readonly #openings = new SingleFlight<string | Failure>();
  readonly #syncs = new SingleFlight<Purchase | Failure>();

  constructor(options: PaymentsOptions) {
    this.#options = options;
  }

  get stripe(): Stripe {
    return this.#options.stripe;
  }

  /**
   * The URL of a purchase's checkout, the same one on every call; a session is opened where there is
   * none yet. Empty where the purchase was paid before anyone was given the URL.
   */
  open(accountId: string, purchaseId: string, trace: Trace): Promise<string | Failure> {
    return this.#openings.run(`${accountId}\n${purchaseId}`, () =>
      this.#open(accountId, purchaseId, trace),
    );
  }

  async #open(accountId: string, purchaseId: string, trace: Trace): Promise<string | Failure> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const purchase = await this.load(accountId, purchaseId);
      if (!purchase) return purchaseNotFound(accountId, purchaseId);
      if (purchase.session) return purchase.session.url;
      if (purchase.state === 'PAID') return '';
      if (purchase.state !== 'PENDING') return checkoutFailed(purchase);
      if (this.#isTooOld(purchase) && !this.#options.clock.isReliable) return clockUnreliable();
      const snapshot = await this.#callStripe(purchase, () => this.#openSession(purchase));
      if (snapshot instanceof Failure) return snapshot;
      const applied = await this.applySnapshot(purchase, snapshot, trace);
      if (applied instanceof Failure) return applied;
    }
    return providerUnavailable();
  }

  /** The purchase with a session; expired where it is too old for one, failed where Stripe refuses. */
  async #openSession(purchase: Purchase): Promise<PaymentSnapshot> {
    if (this.#isTooOld(purchase)) return { ...PENDING_SNAPSHOT, payment: 'EXPIRED' };
    const began = await this.beganBy(purchase);
    const opened = await openSession(this.#options.stripe, purchase, began);
    return 'refusalCode' in opened
      ? { ...PENDING_SNAPSHOT, payment: 'FAILED', failureCode: opened.refusalCode }
      : { ...PENDING_SNAPSHOT, session: opened };
  }

  #isTooOld({ createdAt }: Purchase): boolean {
    return this.#options.clock.now() - createdAt >= OPEN_AGE_MAX_MS;
  }

  /**
   * Brings a purchase to its state at Stripe and resolves to the purchase after that. The state is
   * fetched after the call, never before it.
   */
  sync(
    accountId: string,
    purchaseId: string,
    ref: PaymentRef,
    trace: Trace,
  ): Promise<Purchase | Failure> {
    const key = [accountId, purchaseId, ref.sessionId, ref.paymentIntentId].join('\n');
    return this.#syncs.run(key, () => this.#sync(accountId, purchaseId, ref, trace));
  }

  async #sync(
    accountId: string,
    purchaseId: string,
    ref: PaymentRef,
    trace: Trace,
  ): Promise<Purchase | Failure> {
    const { stripe } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // Before Stripe is called: its syncVersion tells whether another snapshot is applied meanwhile.
      const purchase = await this.load(accountId, purchaseId);
      if (!purchase) return purchaseNotFound(accountId, purchaseId);
      const snapshot = await this.#callStripe(purchase, () => fetchSnapshot(stripe, purchase, ref));
      if (snapshot instanceof Failure) return snapshot;
      if (snapshot === null) return purchase;
      const applied = await this.applySnapshot(purchase, snapshot, trace);
      if (applied instanceof Failure) return applied;
      if (applied.result === 'other payment') this.#logSecondPayment(purchase, snapshot);
      if (applied.purchase.state === 'MISMATCHED') this.#logMismatch(purchase, snapshot);
      if (applied.result !== 'stale') return applied.purchase;
      await sleep(Math.random() * 50 * attempt);
    }
    return providerUnavailable();
  }

  /** The call that began the purchase; null: outside any trace. */
  async beganBy({ accountId, purchaseId }: Purchase): Promise<BeganBy> {
    return await findTraceOfPurchase(this.#options.em(), accountId, purchaseId);
  }

  /** The purchase that was imported with this payment; null where there is none. */
  readonly findImported: FindImported = (paymentIntentId) =>
    findImportedPurchase(this.#options.em(), paymentIntentId);

  /** The purchase as committed last; null where there is none. */
  async load(accountId: string, purchaseId: string): Promise<Purchase | null> {
    return await findPurchase(this.#options.em(), accountId, purchaseId);
  }

  /**
   * Applies a snapshot to the purchase in the account's lane; resolves after the commit. The snapshot is
   * stale where `purchase`, read before the snapshot was fetched, has been synced since.
   */
  applySnapshot(
    { accountId, purchaseId, syncVersion }: Purchase,
    snapshot: PaymentSnapshot,
    trace: Trace,
  ): Promise<Outcome<'SyncPurchase'> | Failure> {
    const command = { kind: 'SyncPurchase', purchaseId, syncVersion, snapshot } as const;
    return this.#options.lanes.execute(accountId, command, trace);
  }

  /** The result of `call`; a failure where Stripe cannot answer. The cause is logged, never sent. */
  async #callStripe<Result>(
    { accountId, purchaseId }: Purchase,
    call: () => Promise<Result>,
  ): Promise<Result | Failure> {
    try {
      return await call();
    } catch (error) {
      if (!isUnavailable(error) && refusalCodeOf(error) === null) throw error;
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

  /** Once: `purchase` is the purchase before the snapshot was applied. */
  #logMismatch(
    { accountId, purchaseId, state, price }: Purchase,
    { amountPaid, paymentIntentId }: PaymentSnapshot,
  ) {
    if (state === 'MISMATCHED') return;
    this.#options.log.error(
      {
        account_id: accountId,
        purchase_id: purchaseId,
        payment_intent_id: paymentIntentId,
        ordered: formatMoney(price),
        paid: amountPaid && formatMoney(amountPaid),
      },
      'a payment differs from its order; it granted nothing: decide with scrip purchases resolve',
    );
  }

  #logSecondPayment(
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
