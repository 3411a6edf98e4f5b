/**
 * Looks at pending purchases that no webhook has settled: webhooks get lost, and a process can die
 * between any two steps. Every replica may run it; a purchase is taken by one at a time.
 */
import type { Tracer } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import type { Em } from '../pg/orm.ts';
import { claimPurchasesToCheck } from '../store/purchases.ts';
import { OPEN_MAX_MS } from './checkout.ts';
import { PENDING_SNAPSHOT } from './payment-snapshot.ts';
import type { Payments, Trace } from './payments.ts';

export type ReconcilerOptions = {
  readonly payments: Payments;
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Purchases younger than this are left to their callers and webhooks. */
  readonly checkAfterMs: number;
  /** Purchases in one batch at most. */
  readonly batchMax: number;
};

/** Purchases looked at at the same time: Stripe limits its callers. */
const AT_ONCE = 4;
/** What was taken and not finished, because Stripe or the database is away, comes up again then. */
const AGAIN_MS = 60_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #timer: NodeJS.Timeout | null = null;
  #checking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Looks at every purchase that is due. */
  async check(): Promise<void> {
    const { em, clock, checkAfterMs, batchMax } = this.#options;
    for (;;) {
      const now = clock();
      const madeBefore = now - checkAfterMs;
      const due = await claimPurchasesToCheck(em(), now, madeBefore, now + AGAIN_MS, batchMax);
      const left = [...due];
      const work = async () => {
        for (let one = left.pop(); one && !this.#stopped; one = left.pop())
          await this.#checkOne(one.accountId, one.purchaseId);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (due.length < batchMax || this.#stopped) return;
    }
  }

  /** Stops looking, after those purchases that are under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#checking;
  }

  #schedule() {
    if (this.#stopped) return;
    // Spread, so that replicas started together do not look together.
    const delayMs = this.#options.intervalMs * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#checking = this.check()
        .catch((error) =>
          this.#options.log.warn(
            { err: error },
            'looking at purchases failed; it will be repeated',
          ),
        )
        .then(() => this.#schedule());
    }, delayMs);
    this.#timer.unref();
  }

  async #checkOne(accountId: string, purchaseId: string) {
    const { tracer, log } = this.#options;
    const span = tracer.startSpan('check purchase', { root: true });
    const { traceId, spanId } = span.spanContext();
    try {
      const checked = await this.#look(accountId, purchaseId, { traceId, spanId });
      if (checked instanceof Failure && checked.reason !== 'CHECKOUT_FAILED')
        log.warn(
          { account_id: accountId, purchase_id: purchaseId, reason: checked.reason },
          'purchase put off',
        );
    } catch (error) {
      // One purchase that cannot be looked at must not keep the others from it.
      log.error({ err: error, account_id: accountId, purchase_id: purchaseId }, 'bug');
    } finally {
      span.end();
    }
  }

  async #look(accountId: string, purchaseId: string, trace: Trace): Promise<unknown> {
    const { payments, clock } = this.#options;
    const purchase = await payments.load(accountId, purchaseId);
    if (purchase?.state !== 'PENDING') return null;
    if (purchase.session || purchase.paymentIntentId)
      return await payments.sync(accountId, purchaseId, {}, trace);
    if (purchase.method === 'CHECKOUT') return await payments.open(accountId, purchaseId, trace);
    // A top-up that was never charged: who charges it has the time that idempotency keys last.
    if (clock() - purchase.createdAt < OPEN_MAX_MS) return null;
    return await payments.applySnapshot(
      purchase,
      { ...PENDING_SNAPSHOT, payment: 'EXPIRED' },
      trace,
    );
  }
}
