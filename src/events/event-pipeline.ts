/** The path of events after the transaction that wrote them: positions, followers, deliveries. */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Config } from '../config.ts';
import type { Em } from '../pg/orm.ts';
import { newestPosition } from '../queries/events.ts';
import { Tail } from '../tail.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { Deliverer } from './deliverer.ts';
import { beginDeliveries } from './deliveries.ts';
import { OutboxSequencer } from './outbox-sequencer.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

type Context = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

export type EventPipeline = {
  /** Wakes the followers of events. Its one stream is ALL_EVENTS. */
  readonly tail: Tail;
  /** To be called after a commit that wrote events. */
  readonly onEventsCommitted: () => void;
  /** Waits `graceMs` for deliveries in progress. */
  stop(graceMs: number): Promise<void>;
};

/** The key of the stream of all events. */
export const ALL_EVENTS = 'all events';

/** Resolves when every event from now on will be delivered, if an endpoint is configured. */
export async function startEventPipeline(config: Config, context: Context): Promise<EventPipeline> {
  const { em, log } = context;
  if (config.EVENTS_WEBHOOK_URL) await beginDeliveries(em());
  const intervalMs = config.EVENTS_POLL_MS;
  const tail = new Tail({
    name: 'tail of events',
    fetchNewest: async () => [[ALL_EVENTS, await newestPosition(em())]],
    intervalMs,
    log,
  });
  const deliverer = createDeliverer(config, context);
  const sequencer = new OutboxSequencer({
    em,
    log,
    intervalMs,
    onAssigned(position) {
      tail.advance(ALL_EVENTS, position);
      deliverer?.wake();
    },
  });
  return {
    tail,
    onEventsCommitted: () => sequencer.wake(),
    async stop(graceMs) {
      await Promise.all([sequencer.stop(), tail.stop(), deliverer?.stop(graceMs)]);
    },
  };
}

/** Null where no endpoint is configured. */
function createDeliverer(config: Config, context: Context): Deliverer | null {
  const { EVENTS_WEBHOOK_URL: url, EVENTS_WEBHOOK_SECRET: secrets } = config;
  if (!url || !secrets) return null;
  const timeoutMs = config.EVENTS_WEBHOOK_TIMEOUT_MS;
  return new Deliverer({
    ...context,
    endpoint: new WebhookEndpoint({ url, secrets, source: config.EVENTS_SOURCE, timeoutMs }),
    intervalMs: config.EVENTS_POLL_MS,
    timeoutMs,
    concurrency: config.EVENTS_WEBHOOK_CONCURRENCY,
    attemptsMax: config.EVENTS_WEBHOOK_ATTEMPTS_MAX,
    backoffMs: config.EVENTS_WEBHOOK_BACKOFF_MS,
  });
}
