/**
 * The reconciler syncs pending purchases that no webhook has synced: webhooks get lost, and a process
 * can die at any point of a checkout. All replicas run it; each purchase is claimed by one of them. It
 * rests while the clock is not reliable: it ends purchases that are too old.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import type { Trace } from '../ledger/entry.ts';
import { toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import {
  failSpan,
  linkTo,
  refOf,
  type SpanOf,
  type Tracing,
  within,
} from '../telemetry/tracing.ts';
import { OPEN_AGE_MAX_MS } from './checkout.ts';
import { claimPurchasesToCheck } from './claim-purchases.ts';
import { PENDING_SNAPSHOT } from './payment-snapshot.ts';
import type { Payments } from './payments.ts';

export type ReconcilerOptions = {
  readonly payments: Payments;
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Younger purchases are left to their callers and to webhooks. */
  readonly checkAfterMs: number;
  /** Upper bound of the purchases in one batch. */
  readonly batchMax: number;
};

/** Purchases checked at the same time. Stripe limits the rate of calls. */
const CONCURRENCY = 4;
/** A claimed purchase that is not synced within this time is due again. */
const LEASE_MS = 60_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #poller: Poller;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    this.#poller = new Poller({
      name: 'purchase check',
      run: () => this.#checkBatch(),
      intervalMs,
      log,
    });
  }

  /** Checks every purchase that is due. */
  check(): Promise<void> {
    return this.#poller.drain();
  }

  /** Resolves when the purchases in progress are done. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  async #checkBatch(): Promise<boolean> {
    const { em, clock, checkAfterMs, batchMax } = this.#options;
    if (!clock.isReliable) return false;
    const now = clock.now();
    const madeBefore = now - checkAfterMs;
    const due = await claimPurchasesToCheck(em(), now, madeBefore, now + LEASE_MS, batchMax);
    await forEachConcurrently(due, CONCURRENCY, this.#poller.stopping, (purchase) =>
      this.#check(purchase.accountId, purchase.purchaseId),
    );
    return due.length === batchMax;
  }

  /** Logs errors: one purchase that cannot be checked must not keep the others from it. */
  async #check(accountId: string, purchaseId: string): Promise<void> {
    const { tracing, log } = this.#options;
    const attributes = { 'scrip.account.id': accountId, 'scrip.purchase.id': purchaseId };
    const span = tracing.start('check purchase', { attributes });
    const ref = refOf(span);
    const named = { account_id: accountId, purchase_id: purchaseId };
    try {
      const failure = await within(ref, () => this.#syncOrOpen(accountId, purchaseId, ref, span));
      span.setAttributes({ 'scrip.outcome': failure?.reason ?? 'checked' });
      if (failure && failure.reason !== 'CHECKOUT_FAILED') {
        failSpan(span, failure.reason);
        log.warn({ ...named, reason: failure.reason }, 'purchase not checked; it will be repeated');
      }
    } catch (error) {
      failSpan(span, toDatabaseFailure(error)?.reason ?? 'INTERNAL');
      if (toDatabaseFailure(error) === null) log.error({ err: error, ...named }, 'bug');
      else log.warn({ err: error, ...named }, 'purchase not checked; it will be repeated');
    } finally {
      span.end();
    }
  }

  /** Brings a purchase to its state at Stripe. Resolves to null, or to why that was not possible. */
  async #syncOrOpen(
    accountId: string,
    purchaseId: string,
    trace: Trace,
    span: SpanOf<'check purchase'>,
  ): Promise<Failure | null> {
    const { payments, clock } = this.#options;
    const purchase = await payments.load(accountId, purchaseId);
    if (purchase?.state !== 'PENDING') return null;
    if (trace.sampled) linkTo(span, await payments.beganBy(purchase));
    if (purchase.session || purchase.paymentIntentId)
      return failureOf(await payments.sync(accountId, purchaseId, {}, trace));
    if (purchase.method === 'CHECKOUT')
      return failureOf(await payments.open(accountId, purchaseId, trace));
    // A top-up without a payment intent is still to be charged, as long as its idempotency key lasts.
    if (clock.now() - purchase.createdAt < OPEN_AGE_MAX_MS) return null;
    const expired = { ...PENDING_SNAPSHOT, payment: 'EXPIRED' } as const;
    return failureOf(await payments.applySnapshot(purchase, expired, trace));
  }
}

const failureOf = (result: unknown): Failure | null => (result instanceof Failure ? result : null);
