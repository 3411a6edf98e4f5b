/**
 * Delivers events to the webhook endpoint, at least once each. It holds no connection to the database
 * while it waits for the endpoint, and never more deliveries than it may have under way: a slow or
 * dead endpoint costs rows in a table, nothing else.
 */
import {
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import {
  claimDeliveries,
  type Delivery,
  type Ended,
  endAttempt,
  enqueueDeliveries,
  giveBack,
} from '../store/deliveries.ts';
import type { PositionedEvent } from '../store/events.ts';
import { delayMs } from './backoff.ts';
import type { Endpoint, Posted } from './webhook.ts';

export type DelivererOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly endpoint: Endpoint;
  readonly intervalMs: number;
  /** What the endpoint may take for one delivery. */
  readonly timeoutMs: number;
  /** Deliveries under way at once at most. */
  readonly concurrency: number;
  /** After so many failed attempts a delivery is DEAD. */
  readonly attemptsMax: number;
  /** Before the second attempt; it doubles from there. */
  readonly backoffMs: number;
};

/** Deliveries made of new events in one transaction at most. */
const ENQUEUE_MAX = 500;
/** Time to write down how an attempt ended, before another replica takes it for lost. */
const LEASE_MARGIN_MS = 5_000;

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #rounds: Poller;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#rounds = new Poller({
      round: () => this.#round(),
      intervalMs: options.intervalMs,
      log: options.log,
      name: 'delivering events',
    });
  }

  /** There are new events. */
  wake() {
    this.#rounds.wake();
  }

  /** Claims nothing more, and waits `graceMs` for what is under way; what is left is given back. */
  async stop(graceMs: number): Promise<void> {
    await this.#rounds.stop();
    const cut = setTimeout(() => this.#stopped.abort(), graceMs);
    await Promise.all(this.#underWay);
    clearTimeout(cut);
  }

  async #round(): Promise<boolean> {
    const { em, clock, concurrency, timeoutMs } = this.#options;
    const made = await enqueueDeliveries(em(), clock(), ENQUEUE_MAX);
    const free = concurrency - this.#underWay.size;
    if (free > 0) {
      const leaseMs = timeoutMs + LEASE_MARGIN_MS;
      for (const delivery of await claimDeliveries(em(), clock(), leaseMs, free))
        this.#start(delivery);
    }
    return made === ENQUEUE_MAX;
  }

  #start(delivery: Delivery) {
    const attempt = this.#attempt(delivery)
      .catch((error) =>
        this.#options.log.warn(
          { err: error, event_id: delivery.event.eventId },
          'how a delivery went was not written down; it will be repeated',
        ),
      )
      .finally(() => {
        this.#underWay.delete(attempt);
        this.#rounds.wake();
      });
    this.#underWay.add(attempt);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { em, clock, log } = this.#options;
    const posted = await this.#post(delivery.event);
    if (posted.kind === 'failed' && this.#stopped.signal.aborted)
      return await giveBack(em(), delivery, clock());
    const ended = this.#endOf(delivery, posted);
    await endAttempt(em(), delivery, ended, clock());
    if (ended.state === 'DEAD') {
      const { accountId, eventId, type } = delivery.event;
      const named = { account_id: accountId, event_id: eventId, type, error: ended.error };
      log.error(named, 'an event could not be delivered and is given up until it is replayed');
    }
  }

  #endOf({ attempts }: Delivery, posted: Posted): Ended {
    if (posted.kind === 'delivered') return { state: 'DELIVERED' };
    const { error, gone, retryAfterMs } = posted;
    const { attemptsMax, backoffMs, clock } = this.#options;
    if (gone || attempts >= attemptsMax) return { state: 'DEAD', error };
    const dueAt = clock() + delayMs(attempts, backoffMs, retryAfterMs, Math.random());
    return { state: 'PENDING', error, dueAt };
  }

  /** One span per attempt, in the trace of what caused the event. */
  async #post(event: PositionedEvent): Promise<Posted> {
    const { tracer, endpoint } = this.#options;
    const { traceId, spanId } = event;
    const cause = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    const span = tracer.startSpan(
      'deliver event',
      { kind: SpanKind.CLIENT, attributes: { 'scrip.event_id': event.eventId } },
      isSpanContextValid(cause) ? trace.setSpanContext(ROOT_CONTEXT, cause) : ROOT_CONTEXT,
    );
    const here = span.spanContext();
    const traceparent = isSpanContextValid(here)
      ? `00-${here.traceId}-${here.spanId}-${here.traceFlags.toString(16).padStart(2, '0')}`
      : null;
    const posted = await endpoint.post(event, traceparent, this.#stopped.signal);
    if (posted.kind === 'failed')
      span.setStatus({ code: SpanStatusCode.ERROR, message: posted.error });
    span.end();
    return posted;
  }
}
