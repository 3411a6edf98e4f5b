/**
 * The deliverer sends events to the webhook endpoint, each at least once. It holds no database
 * connection while it waits for the endpoint, and limits the deliveries in progress: a slow or dead
 * endpoint costs rows in a table and nothing else.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import type { Delivery } from '../store/tables/deliveries.ts';
import {
  childrenOfRef,
  failSpan,
  refOf,
  type Tracing,
  traceparentOf,
} from '../telemetry/tracing.ts';
import { delayMs } from './backoff.ts';
import {
  type AttemptResult,
  claimDeliveries,
  endAttempt,
  enqueueDeliveries,
  releaseClaim,
} from './deliveries.ts';
import type { PostResult, WebhookEndpoint } from './webhook-endpoint.ts';

export type DelivererOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly endpoint: WebhookEndpoint;
  readonly intervalMs: number;
  /** The endpoint's time limit for one attempt. */
  readonly timeoutMs: number;
  /** Upper bound of the deliveries in progress. */
  readonly concurrency: number;
  /** A delivery is DEAD after this many failed attempts. */
  readonly attemptsMax: number;
  /** Delay before the second attempt; it doubles with each further one. */
  readonly backoffMs: number;
};

/** Upper bound of the deliveries that are created in one transaction. */
const ENQUEUE_MAX = 500;
/** Time to record the result of an attempt before its lease expires. */
const LEASE_MARGIN_MS = 5_000;

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #poller: Poller;
  readonly #inProgress = new Set<Promise<void>>();
  readonly #cancelled = new AbortController();

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    const run = () => this.#startDue();
    this.#poller = new Poller({ name: 'delivery of events', run, intervalMs, log });
    this.wake();
  }

  /** To be called when there are new events. */
  wake() {
    this.#poller.wake();
  }

  /** Claims nothing more, waits `graceMs` for deliveries in progress, and gives back the others. */
  async stop(graceMs: number): Promise<void> {
    await this.#poller.stop();
    const timer = setTimeout(() => this.#cancelled.abort(), graceMs);
    await Promise.all(this.#inProgress);
    clearTimeout(timer);
  }

  /**
   * Starts as many of the deliveries that are due as may be in progress. It does not wait for them: each
   * makes room for another as soon as it ends, so a slow one does not hold up the others.
   */
  async #startDue(): Promise<boolean> {
    const { em, clock, concurrency, timeoutMs } = this.#options;
    const enqueued = await enqueueDeliveries(em(), clock.now(), ENQUEUE_MAX);
    const free = concurrency - this.#inProgress.size;
    if (free > 0) {
      const leaseMs = timeoutMs + LEASE_MARGIN_MS;
      for (const delivery of await claimDeliveries(em(), clock.now(), leaseMs, free))
        this.#start(delivery);
    }
    return enqueued === ENQUEUE_MAX;
  }

  #start(delivery: Delivery) {
    const attempt = this.#attempt(delivery)
      .catch((error) =>
        this.#options.log.warn(
          { err: error, event_id: delivery.event.eventId },
          'the result of a delivery was not recorded; it will be repeated',
        ),
      )
      .finally(() => {
        this.#inProgress.delete(attempt);
        this.#poller.wake();
      });
    this.#inProgress.add(attempt);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { em, clock, log } = this.#options;
    const posted = await this.#post(delivery);
    if (posted.kind === 'failed' && this.#cancelled.signal.aborted)
      return await releaseClaim(em(), delivery, clock.now());
    const result = this.#toAttemptResult(delivery, posted);
    await endAttempt(em(), delivery, result, clock.now());
    if (result.state === 'DEAD') {
      const { accountId, eventId, type } = delivery.event;
      const named = { account_id: accountId, event_id: eventId, type, error: result.error };
      log.error(named, 'a delivery is dead: it is not attempted again until it is replayed');
    }
  }

  /** Decides the delivery's next state. */
  #toAttemptResult({ attempts }: Delivery, posted: PostResult): AttemptResult {
    if (posted.kind === 'delivered') return { state: 'DELIVERED' };
    const { error, gone, retryAfterMs } = posted;
    const { attemptsMax, backoffMs, clock } = this.#options;
    if (gone || attempts >= attemptsMax) return { state: 'DEAD', error };
    const dueAt = clock.now() + delayMs(attempts, backoffMs, retryAfterMs, Math.random());
    return { state: 'PENDING', error, dueAt };
  }

  /** Posts the event in a span of its own, in the trace of what caused the event. */
  async #post({ event, attempts }: Delivery): Promise<PostResult> {
    const { tracing, endpoint } = this.#options;
    const span = tracing.start('deliver event', {
      parent: childrenOfRef(event),
      attributes: {
        'http.request.method': 'POST',
        'server.address': endpoint.address.host,
        'server.port': endpoint.address.port,
        'scrip.event.id': event.eventId,
        'scrip.event.type': event.type,
        'scrip.account.id': event.accountId,
        'scrip.delivery.attempt': attempts,
      },
    });
    const traceparent = traceparentOf(refOf(span));
    const posted = await endpoint.post(event, traceparent, this.#cancelled.signal);
    span.setAttributes({
      'http.response.status_code': posted.status ?? undefined,
      'scrip.outcome': posted.kind,
    });
    if (posted.kind === 'failed') failSpan(span, errorTypeOf(posted), posted.error);
    span.end();
    return posted;
  }
}

const errorTypeOf = ({ status }: PostResult): string =>
  status === null ? 'no response' : String(status);
