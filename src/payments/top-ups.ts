/**
 * Charges the top-ups that are due. All replicas run it: a top-up is started in the account's lane, and
 * so by one of them. It may not be finished, because the replica stops or dies or Stripe is unavailable.
 * Then it is due again after TOP_UP_LEASE_MS, as the same purchase with the same payment intent. Nothing is charged while the clock is not reliable.
 */

import type { Logger } from 'pino';
import { type Clock, clockUnreliable } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import type { Lanes } from '../lanes/lanes.ts';
import { isStillWanted } from '../ledger/auto-top-up.ts';
import type { Trace } from '../ledger/entry.ts';
import { toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { findAccount } from '../queries/accounts.ts';
import { findDueAccounts } from '../queries/due-accounts.ts';
import { failSpan, refOf, type SpanOf, type Tracing, within } from '../telemetry/tracing.ts';
import type { Payments } from './payments.ts';
import { type ChargeResult, chargeSavedMethod, withdrawCharge } from './saved-method.ts';

export type TopUpsOptions = {
  readonly payments: Payments;
  readonly em: () => Em;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Upper bound of the accounts in one batch. */
  readonly batchMax: number;
};

/** Charges at the same time. Stripe limits the rate of calls. */
const CONCURRENCY = 4;
/** A purchase is charged in one attempt: after a decline, the next top-up is another purchase. */
const ATTEMPT = 1;
/** Stripe's code for a payment that needs the customer to be present. */
const REQUIRES_ACTION = 'authentication_required';
/** Failures that every other account would meet, too. */
const OUTAGES: readonly string[] = [
  'PAYMENT_PROVIDER_UNAVAILABLE',
  'DATABASE_UNAVAILABLE',
  'CLOCK_UNRELIABLE',
  'OVERLOADED',
  'SHUTTING_DOWN',
];

/** The result for one account: `postponed` concerns this account alone, `outage` all others, too. */
type Result = 'done' | 'postponed' | 'outage';

export class TopUps {
  readonly #options: TopUpsOptions;
  readonly #poller: Poller;
  #abandoned = false;

  constructor(options: TopUpsOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    this.#poller = new Poller({ name: 'top-ups', run: () => this.#topUpBatch(), intervalMs, log });
  }

  /** Charges every top-up that is due. */
  topUp(): Promise<void> {
    return this.#poller.drain();
  }

  /** Starts no further top-up, waits `graceMs` for charges in progress, and leaves the others. */
  async stop(graceMs: number): Promise<void> {
    await this.#poller.stop(graceMs);
    this.#abandoned = true;
  }

  async #topUpBatch(): Promise<boolean> {
    const { em, clock, batchMax } = this.#options;
    if (!clock.isReliable) return false;
    const due = await findDueAccounts(em(), 'top_up_due_at', clock.now(), batchMax);
    const outage = new AbortController();
    const signal = AbortSignal.any([this.#poller.stopping, outage.signal]);
    const results: Result[] = [];
    await forEachConcurrently(due, CONCURRENCY, signal, async (accountId) => {
      const result = await this.#tryToTopUp(accountId);
      results.push(result);
      if (result === 'outage') outage.abort();
    });
    // A postponed account may still be due: to go on at once could repeat it without end.
    return results.length === batchMax && results.every((result) => result === 'done');
  }

  /** Logs errors: one account that cannot be topped up must not keep the others from it. */
  async #tryToTopUp(accountId: string): Promise<Result> {
    const { tracing, log } = this.#options;
    const span = tracing.start('top up', { attributes: { 'scrip.account.id': accountId } });
    const ref = refOf(span);
    const named = { account_id: accountId, trace_id: ref.traceId };
    try {
      const charged = await within(ref, () => this.#topUp(accountId, ref, span));
      span.setAttributes({ 'scrip.outcome': outcomeOf(charged) });
      if (charged instanceof Failure) {
        failSpan(span, charged.reason);
        log.warn({ ...named, reason: charged.reason }, 'top-up postponed');
        return OUTAGES.includes(charged.reason) ? 'outage' : 'postponed';
      }
      if (charged) log.info({ ...named, ...charged }, 'top-up');
      return 'done';
    } catch (error) {
      // The service is closing its connections: the top-up is due again after its lease.
      if (this.#abandoned) return 'outage';
      failSpan(span, toDatabaseFailure(error)?.reason ?? 'INTERNAL');
      if (toDatabaseFailure(error) !== null) {
        log.warn({ ...named, err: error }, 'top-up postponed');
        return 'outage';
      }
      log.error({ ...named, err: error }, 'bug');
      return 'postponed';
    } finally {
      span.end();
    }
  }

  /** Resolves to null where nothing is due any more. */
  async #topUp(
    accountId: string,
    trace: Trace,
    span: SpanOf<'top up'>,
  ): Promise<ChargeResult | Failure | null> {
    const { lanes, clock } = this.#options;
    if (!clock.isReliable) return clockUnreliable();
    const started = await lanes.execute(accountId, { kind: 'StartTopUp' }, trace);
    if (started instanceof Failure) return started;
    const { purchaseId } = started;
    if (purchaseId !== null) span.setAttributes({ 'scrip.purchase.id': purchaseId });
    if (purchaseId === null || this.#poller.stopping.aborted) return null;
    const charged = await this.#charge(accountId, purchaseId, trace);
    if (charged instanceof Failure || charged?.outcome !== 'requires action') return charged;
    const end = { kind: 'EndTopUp', purchaseId, code: REQUIRES_ACTION } as const;
    const ended = await lanes.execute(accountId, end, trace);
    return ended instanceof Failure ? ended : charged;
  }

  /**
   * Charges the purchase, or withdraws it where the account's owner does not want it any more. Either
   * result ends the top-up as well. Resolves to null where it has ended before.
   */
  async #charge(
    accountId: string,
    purchaseId: string,
    trace: Trace,
  ): Promise<ChargeResult | Failure | null> {
    const { payments, em, clock } = this.#options;
    const stored = await payments.load(accountId, purchaseId);
    // An earlier worker may have charged the intent: sync first, and charge only if it has not.
    const purchase = stored?.paymentIntentId
      ? await payments.sync(accountId, purchaseId, {}, trace)
      : stored;
    if (purchase instanceof Failure) return purchase;
    if (purchase?.state !== 'PENDING') return null;
    const account = await findAccount(em(), accountId);
    if (!account || !isStillWanted(account, purchase))
      return await withdrawCharge(payments, purchase, trace);
    return await chargeSavedMethod(payments, accountId, purchaseId, ATTEMPT, clock.now(), trace);
  }
}

function outcomeOf(charged: ChargeResult | Failure | null): string {
  if (charged instanceof Failure) return charged.reason;
  return charged?.outcome ?? 'nothing due';
}
