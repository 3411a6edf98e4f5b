/**
 * What must be right at the end of a trace of the deliveries of its events. The webhook endpoint refuses some of them
 * for good and others at first, and accepts all of them in the end.
 */
import { type Scrip, ScripError } from '../../src/client.ts';
import {
  type Delivery,
  Delivery_State,
  type Event,
} from '../../src/gen/billing/v1/event_service.ts';
import { accepts as accepting, answers, Receiver } from '../events/receiver.ts';
import { mustBe, pagesOf } from './checks-of-all.ts';
import type { Timeline } from './observations.ts';
import { pause } from './replicas.ts';
import { Violation } from './runner.ts';

/** An event of this type is gone for the endpoint; the other type is accepted the second time. */
const REFUSED = 'grant.expired';
const LATE = 'reservation.expired';

const PAGE_SIZE = 200;
/** Far more than it takes. */
const POLLS_MAX = 20_000;
/** The clocks go on where so many polls have seen no change: then nothing is under way that is not due later. */
const UNCHANGED_MAX = 40;
/** Longer than a replica that was killed keeps a delivery for itself. */
const LATER_MS = 30_000;

export class Endpoint {
  readonly receiver = new Receiver();
  /** How often each event was accepted, by its id. */
  readonly accepted = new Map<string, number>();
  readonly #seen = new Set<string>();
  isWell = false;

  async open(): Promise<this> {
    await this.receiver.open();
    this.receiver.answer = (response, received) => {
      const { id, type } = received.event;
      const isFirst = !this.#seen.has(id);
      this.#seen.add(id);
      if (!this.isWell && type === `scrip.${REFUSED}`) return answers(410)(response, received);
      if (isFirst && type === `scrip.${LATE}`) return answers(503)(response, received);
      this.accepted.set(id, (this.accepted.get(id) ?? 0) + 1);
      return accepting(response, received);
    };
    return this;
  }
}

/** Every event has one delivery, whatever was killed. What has ended is sent again when an operator says so. */
export async function checkDeliveries(endpoint: Endpoint, timeline: Timeline, { events }: Scrip) {
  const all = await allEnded(timeline, events);
  const endsAs = ({ type }: Event) =>
    type === REFUSED ? Delivery_State.DEAD : Delivery_State.DELIVERED;
  checkStates(all, endsAs);
  checkSent(all, endpoint);
  endpoint.isWell = true;
  let replayed = 0;
  for (let some = -1; some !== 0; replayed += some)
    some = (await events.replayDeadDeliveries({})).replayed;
  const dead = all.filter(({ event }) => event?.type === REFUSED).length;
  mustBe('the deliveries that were made due again', { replayed }, { replayed: dead });
  checkStates(await allEnded(timeline, events), () => Delivery_State.DELIVERED);
  const [newest] = all;
  if (newest?.event) await checkReplay(newest.event, endpoint, timeline, events);
}

/** All deliveries, newest first, once each event has one that has ended. Attempts are due as the clocks go on. */
async function allEnded(timeline: Timeline, events: Scrip['events']): Promise<Delivery[]> {
  let seen = '';
  for (let poll = 0, unchanged = 0; poll < POLLS_MAX; poll++, unchanged++) {
    const pending = await listed(events, Delivery_State.PENDING);
    if (pending.length === 0) {
      const all = await listed(events, Delivery_State.UNSPECIFIED);
      let count = 0;
      for await (const message of events.streamEvents({})) count += message.events.length;
      if (all.length === count && all.every(({ endedAt }) => endedAt)) return all;
    }
    const now = pending.map(({ event, attempts }) => `${event?.position} ${attempts}`).join();
    if (now !== seen) unchanged = 0;
    seen = now;
    if (unchanged > 0 && unchanged % UNCHANGED_MAX === 0)
      timeline.advanceTo(timeline.now + LATER_MS);
    await pause(50);
  }
  throw new Violation('deliveries do not end');
}

const listed = (events: Scrip['events'], state: Delivery_State): Promise<Delivery[]> =>
  pagesOf(async (pageToken) => {
    const page = await events.listDeliveries({ state, pageSize: PAGE_SIZE, pageToken });
    return { items: page.deliveries, nextPageToken: page.nextPageToken };
  });

function checkStates(all: readonly Delivery[], endsAs: (event: Event) => Delivery_State) {
  const positions = all.map(({ event }) => event?.position ?? 0n);
  mustBe(
    'the order of deliveries',
    positions,
    positions.map((_, index) => BigInt(all.length - index)),
  );
  for (const { event, state, attempts, endedAt, nextAttemptAt } of all)
    if (event)
      mustBe(
        `the delivery of event ${event.position}`,
        { state, isAttempted: attempts > 0, hasEnded: endedAt !== undefined, nextAttemptAt },
        { state: endsAs(event), isAttempted: true, hasEnded: true },
      );
}

/** What the endpoint got is what a reader of the events gets. */
function checkSent(all: readonly Delivery[], { receiver, accepted }: Endpoint) {
  if (receiver.forged.length > 0) throw new Violation(`forged: ${receiver.forged[0]}`);
  const byId = new Map(all.map(({ event }) => [event?.eventId, event]));
  for (const { event: sent } of receiver.received) {
    const event = byId.get(sent.id);
    if (!event) throw new Violation(`event ${sent.id} was sent, and is not there`);
    const { accountId, type, position, data } = event;
    mustBe(
      `what was sent of event ${position}`,
      { type: sent.type, subject: sent.subject, position: sent.position, data: sent.data },
      { type: `scrip.${type}`, subject: accountId, position: `${position}`, data },
    );
  }
  for (const { event, state } of all)
    if (state === Delivery_State.DELIVERED && !accepted.has(event?.eventId ?? ''))
      throw new Violation(`event ${event?.position} is delivered, and nobody got it`);
}

async function checkReplay(
  { accountId, eventId }: Event,
  { accepted }: Endpoint,
  timeline: Timeline,
  events: Scrip['events'],
) {
  const before = accepted.get(eventId) ?? 0;
  await events.replayDelivery({ accountId, eventId });
  await allEnded(timeline, events);
  if ((accepted.get(eventId) ?? 0) === before)
    throw new Violation(`event ${eventId} was replayed, and nobody got it again`);
  const unknown = '00000000-0000-7000-8000-000000000000';
  const reason = await events.replayDelivery({ accountId, eventId: unknown }).then(
    () => 'replayed',
    (error: unknown) => (error instanceof ScripError ? error.reason : String(error)),
  );
  mustBe('the replay of an unknown event', { reason }, { reason: 'DELIVERY_NOT_FOUND' });
}
