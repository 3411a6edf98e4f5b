/** StreamEvents: events in the order of their positions, from one stretch to the next. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { EventTail } from '../../events/event-tail.ts';
import { Failure } from '../../failure.ts';
import {
  Event as EventMessage,
  type StreamEventsRequest,
} from '../../gen/billing/v1/event_service.ts';
import { EVENT_TYPES, type EventType } from '../../ledger/event.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Em } from '../../pg/orm.ts';
import { newestSeq } from '../../queries/history.ts';
import {
  type EventFilter,
  newestPosition,
  type PositionedEvent,
  readEvents,
} from '../../store/events.ts';
import { encode } from '../call/encode.ts';
import { Check } from '../call/field-checker.ts';
import { eventMessage } from '../messages/event.ts';

/** Events read at once. A short read each: no cursor stays open for a slow reader. */
const PAGE_SIZE = 500;

export type EventStreamContext = {
  readonly em: () => Em;
  readonly eventTail: EventTail;
  /** Aborts when the service stops. */
  readonly stopping: AbortSignal;
};

export async function streamEvents(
  context: EventStreamContext,
  request: StreamEventsRequest,
  write: (response: Uint8Array) => Promise<void>,
  gone: AbortSignal,
): Promise<void> {
  const { em, eventTail, stopping } = context;
  const filter = checked(request);
  const { accountId } = filter;
  if (accountId && (await newestSeq(em(), accountId)) === null) throw accountNotFound(accountId);
  const signal = AbortSignal.any([gone, stopping]);

  for (let after = request.afterPosition; ; ) {
    const newest = await newestPosition(em());
    while (after < newest && !signal.aborted) {
      const { events, until } = await readStretch(em(), after, newest, filter);
      for (const message of messages(events, until)) await write(message);
      after = until;
    }
    if (stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; resume on another', {
        next_after_position: after,
      });
    if (!request.follow || gone.aborted) return;
    await eventTail.changed(after > newest ? after : newest, signal);
  }
}

/**
 * The next events, and the position they have been looked for up to. One account's have an index of
 * their own, so all its stretches count; of all events so many positions are looked at, whatever the
 * filter leaves of them.
 */
async function readStretch(em: Em, after: bigint, newest: bigint, filter: EventFilter) {
  const end = after + BigInt(PAGE_SIZE);
  const upTo = filter.accountId || end > newest ? newest : end;
  const events = await readEvents(em, after, upTo, filter, PAGE_SIZE);
  const last = events.at(-1);
  return { events, until: last && events.length === PAGE_SIZE ? last.position : upTo };
}

/** The responses that carry a stretch: one, or several where events are large. */
function* messages(events: readonly PositionedEvent[], until: bigint): Generator<Uint8Array> {
  let writer = new BinaryWriter();
  let bytes = 0;
  for (const [index, event] of events.entries()) {
    const encoded = encode(EventMessage, eventMessage(event));
    writer.uint32(EVENTS_TAG).bytes(encoded);
    bytes += encoded.length;
    if (bytes < MESSAGE_BYTES || index === events.length - 1) continue;
    yield writer.uint32(NEXT_AFTER_POSITION_TAG).int64(event.position).finish();
    writer = new BinaryWriter();
    bytes = 0;
  }
  yield writer.uint32(NEXT_AFTER_POSITION_TAG).int64(until).finish();
}

/** Fields of StreamEventsResponse, as they are on the wire: number and wire type. */
const EVENTS_TAG = (1 << 3) | 2;
const NEXT_AFTER_POSITION_TAG = 2 << 3;
/** A message is closed once it carries so much: receivers refuse messages above 4 MB. */
const MESSAGE_BYTES = 512 * 1024;

const isEventType = (type: string): type is EventType =>
  EVENT_TYPES.some((known) => known === type);

function checked(request: StreamEventsRequest): EventFilter {
  const check = new Check();
  if (request.afterPosition < 0n) check.refuse('after_position', 'must be 0 or more');
  const types = request.types.filter(isEventType);
  if (types.length < request.types.length)
    check.refuse('types', `must be types of events: ${EVENT_TYPES.join(', ')}`);
  const { accountId } = request;
  if (accountId) check.accountId(accountId);
  check.pass();
  return { types, accountId };
}
