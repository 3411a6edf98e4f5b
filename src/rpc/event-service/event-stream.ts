/** StreamEvents: events in the order of their positions, read page by page. */
import { WireType } from '@bufbuild/protobuf/wire';
import { ALL_EVENTS } from '../../events/event-pipeline.ts';
import { Failure } from '../../failure.ts';
import {
  Event as EventMessage,
  type StreamEventsRequest,
} from '../../gen/billing/v1/event_service.ts';
import { EVENT_TYPES, type EventType } from '../../ledger/event.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Em } from '../../pg/orm.ts';
import type { Permissions } from '../../policy/permissions.ts';
import { newestSeq } from '../../queries/entries.ts';
import { type EventFilter, findEvents, newestPosition } from '../../queries/events.ts';
import type { PositionedEvent } from '../../store/tables/events.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { Write } from '../call/handlers.ts';
import { encodeStreamPages, positionLost, RESUME_AFTER_FIELD } from '../call/stream-pages.ts';
import { eventMessage } from '../messages/event.ts';
import type { ServiceContext } from '../service-context.ts';
import { decodeStreamToken, encodeStreamToken } from './stream-token.ts';

/** Events per read. Every read is a short query of its own: a slow reader keeps no cursor open. */
const PAGE_SIZE = 500;

export async function streamEvents(
  { em, eventTail, stopping }: ServiceContext,
  request: StreamEventsRequest,
  write: Write,
  cancelled: AbortSignal,
  permitted: () => Permissions,
): Promise<void> {
  const { filter, after: start } = parseRequest(request);
  const { accountId } = filter;
  if (accountId && (await newestSeq(em(), accountId)) === null) throw accountNotFound(accountId);
  const ended = AbortSignal.any([cancelled, stopping]);

  for (let after = start; ; ) {
    const newest = await newestPosition(em());
    if (after > newest) throw tokenOfOther(after, newest);
    while (after < newest && !ended.aborted) {
      const { pages, until } = await readPages(em(), after, newest, {
        ...filter,
        scope: permitted().accounts,
      });
      for (const { bytes, nextToken } of pages) await write(bytes, { next_token: nextToken });
      after = until;
    }
    if (stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; resume on another', {
        next_token: encodeStreamToken(after),
      });
    if (!request.follow || cancelled.aborted) return;
    await eventTail.waitBeyond(ALL_EVENTS, newest, ended);
  }
}

/** The database lost its newest writes, or is another one. The next events would be missed. */
const tokenOfOther = (after: bigint, newest: bigint): Failure =>
  positionLost(
    encodeStreamToken(after),
    encodeStreamToken(newest),
    'after_token is of events that this database does not have',
  );

/**
 * The next events, and the position up to which they were read. The events of one account have an
 * index of their own, so a page of them is limited by its events alone. A page of all events is also
 * limited to PAGE_SIZE positions, because the filter is applied to each.
 */
async function readEvents(em: Em, after: bigint, newest: bigint, filter: EventFilter) {
  const end = after + BigInt(PAGE_SIZE);
  const upTo = filter.accountId || end > newest ? newest : end;
  const events = await findEvents(em, after, upTo, filter, PAGE_SIZE);
  const last = events.at(-1);
  return { events, until: last && events.length === PAGE_SIZE ? last.position : upTo };
}

/** Encoded at once, so that a stream that waits for its reader keeps bytes and no events. */
async function readPages(em: Em, after: bigint, newest: bigint, filter: EventFilter) {
  const { events, until } = await readEvents(em, after, newest, filter);
  const tokenAfter = (last: PositionedEvent | null) => encodeStreamToken(last?.position ?? until);
  const pages = encodeStreamPages(events, EventMessage, eventMessage, (writer, last) =>
    writer.tag(RESUME_AFTER_FIELD, WireType.LengthDelimited).string(tokenAfter(last)),
  );
  const encoded = Array.from(pages, ({ bytes, last }) => ({ bytes, nextToken: tokenAfter(last) }));
  return { pages: encoded, until };
}

function parseRequest(request: StreamEventsRequest): {
  filter: Omit<EventFilter, 'scope'>;
  after: bigint;
} {
  const check = new FieldChecker();
  const after = decodeStreamToken('after_token', request.afterToken, check);
  const types = request.types.filter(isEventType);
  if (types.length < request.types.length)
    check.addViolation('types', `must be types of events: ${EVENT_TYPES.join(', ')}`);
  const { accountId } = request;
  if (accountId) check.accountId(accountId);
  check.throwIfInvalid();
  return { filter: { types, accountId }, after };
}

const isEventType = (type: string): type is EventType =>
  EVENT_TYPES.some((known) => known === type);
