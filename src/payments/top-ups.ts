/**
 * Charges the top-ups that are due. Every replica may run it: starting a top-up is decided in the
 * account's lane, by one of them. What is started and not finished, because this replica stops or dies
 * or because Stripe is away, is handed out again after TOP_UP_LEASE_MS, as the same purchase with the
 * same payment intent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tracer } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import { isWanted } from '../ledger/top-up.ts';
import { failureOfDatabase } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { loadAccounts } from '../store/load.ts';
import { accountsToTopUp } from '../store/top-ups.ts';
import type { Payments, Trace } from './payments.ts';
import { type Charged, chargeSavedMethod, withdrawCharge } from './saved-method.ts';
import { endTopUpWork, purchaseToCharge, startTopUpWork } from './top-up-work.ts';

export type TopUpsOptions = {
  readonly payments: Payments;
  readonly em: () => Em;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Accounts in one batch at most. */
  readonly batchMax: number;
};

/** Charges under way at the same time: Stripe limits its callers. */
const AT_ONCE = 4;
/** A purchase is tried once; after a decline the next top-up is another purchase. */
const ATTEMPT = 1;
/** What Stripe calls a payment that only the customer could go on with. */
const REQUIRES_ACTION = 'authentication_required';
/** Failures that the next account would meet, too. */
const AWAY: readonly string[] = [
  'PAYMENT_PROVIDER_UNAVAILABLE',
  'DATABASE_UNAVAILABLE',
  'OVERLOADED',
  'SHUTTING_DOWN',
];

/** How an account's turn went; `away`: there is no use in going on with others now. */
type Turn = 'done' | 'put off' | 'away';

export class TopUps {
  readonly #options: TopUpsOptions;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;
  #abandoned = false;

  constructor(options: TopUpsOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Tops up every account that is due. */
  async topUp(): Promise<void> {
    const { em, clock, batchMax } = this.#options;
    for (;;) {
      const due = await accountsToTopUp(em(), clock(), batchMax);
      const turns = await this.#topUpAll(due);
      // What was put off may be due still: it must not be taken up again at once, for ever.
      const allDone = turns.length === batchMax && turns.every((turn) => turn === 'done');
      if (!allDone || this.#stopped) return;
    }
  }

  /** Starts nothing more, and finishes the charges that are under way; leaves them after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await Promise.race([this.#working, sleep(graceMs, undefined, { ref: false })]);
    this.#abandoned = true;
  }

  #schedule() {
    if (this.#stopped) return;
    // Spread, so that replicas started together do not look together.
    const delayMs = this.#options.intervalMs * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#working = this.topUp()
        .catch((error) =>
          this.#options.log.warn({ err: error }, 'topping up failed; it will be repeated'),
        )
        .then(() => this.#schedule());
    }, delayMs);
    this.#timer.unref();
  }

  async #topUpAll(accountIds: readonly string[]): Promise<readonly Turn[]> {
    const left = [...accountIds];
    const turns: Turn[] = [];
    const work = async () => {
      while (left.length > 0 && !this.#stopped && !turns.includes('away'))
        turns.push(await this.#takeTurn(left.shift() ?? ''));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return turns;
  }

  async #takeTurn(accountId: string): Promise<Turn> {
    const { tracer, log } = this.#options;
    const span = tracer.startSpan('top up', { root: true });
    const { traceId, spanId } = span.spanContext();
    const told = { account_id: accountId, trace_id: traceId };
    try {
      const charged = await this.#topUpOne(accountId, { traceId, spanId });
      if (!(charged instanceof Failure)) {
        if (charged) log.info({ ...told, ...charged }, 'top-up');
        return 'done';
      }
      log.warn({ ...told, reason: charged.reason }, 'top-up put off');
      return AWAY.includes(charged.reason) ? 'away' : 'put off';
    } catch (error) {
      if (this.#abandoned) return 'away';
      const away = failureOfDatabase(error) !== null;
      if (away) log.warn({ ...told, err: error }, 'top-up put off');
      // One account that cannot be topped up must not keep the others from it.
      else log.error({ ...told, err: error }, 'bug');
      return away ? 'away' : 'put off';
    } finally {
      span.end();
    }
  }

  /** Null where nothing is due any more. */
  async #topUpOne(accountId: string, trace: Trace): Promise<Charged | Failure | null> {
    const started = await this.#options.lanes.submit(startTopUpWork(accountId, trace));
    if (started instanceof Failure) return started;
    const purchaseId = purchaseToCharge(started.response);
    if (purchaseId === null || this.#stopped) return null;
    const charged = await this.#charge(accountId, purchaseId, trace);
    if (charged instanceof Failure || charged?.outcome !== 'requires action') return charged;
    const end = endTopUpWork(accountId, purchaseId, REQUIRES_ACTION, trace);
    const ended = await this.#options.lanes.submit(end);
    return ended instanceof Failure ? ended : charged;
  }

  /** What comes of it ends the purchase, and that the top-up. Null: it has ended before. */
  async #charge(
    accountId: string,
    purchaseId: string,
    trace: Trace,
  ): Promise<Charged | Failure | null> {
    const { payments, em, clock } = this.#options;
    const written = await payments.load(accountId, purchaseId);
    // Who had it before may have charged it: that shows, and is not tried a second time.
    const purchase = written?.paymentIntentId
      ? await payments.sync(accountId, purchaseId, {}, trace)
      : written;
    if (purchase instanceof Failure) return purchase;
    if (purchase?.state !== 'PENDING') return null;
    const [account] = await loadAccounts(em(), [accountId]);
    if (!account || !isWanted(account, purchase))
      return await withdrawCharge(payments, purchase, trace);
    return await chargeSavedMethod(payments, accountId, purchaseId, ATTEMPT, clock(), trace);
  }
}
