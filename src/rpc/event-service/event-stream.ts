/**
 * StreamEvents: the events of every cell in the order of their positions, read page by page. A stream that follows
 * goes on without cells that cannot be reached, from where it is in each of them. Events stay in the stream of the cell
 * that gave them their positions, also when their account is moved: they are read where the account is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WireType } from '@bufbuild/protobuf/wire';
import { ALL_EVENTS } from '../../events/event-pipeline.ts';
import { Failure } from '../../failure.ts';
import {
  Event as EventMessage,
  type StreamEventsRequest,
} from '../../gen/billing/v1/event_service.ts';
import { EVENT_TYPES, type EventType } from '../../ledger/event.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Permissions } from '../../policy/permissions.ts';
import { newestSeq } from '../../queries/entries.ts';
import {
  type EventFilter,
  findEpoch,
  findEventIdAt,
  findEvents,
  findEventsByKey,
  findMovedEvents,
  type MovedEvent,
  newestPosition,
} from '../../queries/events.ts';
import type { PositionedEvent } from '../../store/tables/events.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { Write } from '../call/handlers.ts';
import { readInCell } from '../call/in-cell.ts';
import { encodeStreamPages, positionLost, RESUME_AFTER_FIELD } from '../call/stream-pages.ts';
import { eventMessage } from '../messages/event.ts';
import type { ServiceContext } from '../service-context.ts';
import {
  decodeStreamToken,
  encodeStreamToken,
  FIRST,
  markOf,
  type Place,
  type Places,
} from './stream-token.ts';

/** Events per read. Every read is a short query of its own: a slow reader keeps no cursor open. */
const PAGE_SIZE = 500;
/** How often a stream looks whether a cell that could not be reached can be. */
const MISSING_CELL_MS = 1_000;

export async function streamEvents(
  context: ServiceContext,
  request: StreamEventsRequest,
  write: Write,
  cancelled: AbortSignal,
  permitted: () => Permissions,
): Promise<void> {
  const { em, cells, stopping } = context;
  const { filter, after } = parseRequest(request, cells.names);
  const { accountId } = filter;
  if (accountId && (await newestSeq(em(), accountId)) === null) throw accountNotFound(accountId);
  const ended = AbortSignal.any([cancelled, stopping]);
  const reader = new EventReader(after, cells.names);

  // What an account did in the cell that it was in before is in that cell's events.
  const isInAll = !accountId || (!cells.isOne && cells.hasMoved);
  for (;;) {
    const { changing } = cells;
    cells.assertWhole();
    if (accountId) cells.assertServed(accountId, context.cell);
    const found = cellsToRead(context, accountId, isInAll, request.follow);
    const newest = new Map<ServiceContext, bigint>();
    for (const cell of found) newest.set(cell, await reader.newestOf(cell));
    // A page of each cell in turn: one with many events does not hold up the others. Those of one account are read in
    // the order in which it was in the cells.
    for (let behind = found; behind.length > 0 && !ended.aborted; ) {
      behind = behind.filter((cell) => reader.at(cell).position < (newest.get(cell) ?? 0n));
      for (const cell of accountId ? behind.slice(0, 1) : behind) {
        if (ended.aborted) break;
        const scoped = { ...filter, scope: permitted().accounts };
        for (const { bytes, nextToken } of await reader.read(cell, newest.get(cell) ?? 0n, scoped))
          await write(bytes, { next_token: nextToken });
      }
    }
    if (stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; resume on another', {
        next_token: reader.token,
      });
    if (!request.follow || cancelled.aborted) return;
    const isMissingCells = isInAll && found.length < cells.names.length;
    await waitBeyond(newest, AbortSignal.any([ended, changing]), isMissingCells);
  }
}

/** The cells whose events are read now, the account's own last: what it did elsewhere comes first. */
function cellsToRead(
  { cells, cell }: ServiceContext,
  accountId: string,
  isInAll: boolean,
  follow: boolean,
): readonly ServiceContext[] {
  if (!isInAll) return cells.allOf(accountId);
  const all = follow ? cells.reachable() : cells.all();
  if (!accountId) return all;
  return [...all.filter((one) => one.cell !== cell), ...all.filter((one) => one.cell === cell)];
}

/** Resolves when any of the cells may have more events, or when the signal aborts. */
async function waitBeyond(
  newest: ReadonlyMap<ServiceContext, bigint>,
  ended: AbortSignal,
  isMissingCells: boolean,
) {
  const woken = new AbortController();
  const signal =
    newest.size === 1 && !isMissingCells ? ended : AbortSignal.any([ended, woken.signal]);
  const waits = [...newest].map(([{ eventTail }, position]) =>
    eventTail.waitBeyond(ALL_EVENTS, position, signal),
  );
  if (isMissingCells)
    waits.push(sleep(MISSING_CELL_MS, undefined, { signal, ref: false }).catch(() => {}));
  await Promise.race(waits);
  woken.abort();
}

type EventPage = { readonly bytes: Uint8Array; readonly nextToken: string };

/** Where a stream is in the events of each cell. */
class EventReader {
  readonly #places: Map<string, Place>;
  readonly #cells: readonly string[];
  /** The epochs of cells whose place was compared with what their database has. */
  readonly #epochs = new Map<string, number>();

  constructor(after: Places, cells: readonly string[]) {
    this.#places = new Map(after);
    this.#cells = cells;
  }

  get token(): string {
    return encodeStreamToken(this.#places, this.#cells);
  }

  at({ cell }: ServiceContext): Place {
    return this.#places.get(cell) ?? FIRST;
  }

  /** The newest position of a cell. Throws POSITION_LOST where it has not the event that was read last. */
  async newestOf(context: ServiceContext): Promise<bigint> {
    return await readInCell(context, async ({ em, cell }) => {
      const { position, mark, epoch } = this.at(context);
      const known = this.#epochs.get(cell);
      const mustCompare = mark !== 0 && known === undefined;
      const entityManager = em();
      const [newest, eventId, found] = await Promise.all([
        newestPosition(entityManager),
        mustCompare ? findEventIdAt(entityManager, position) : null,
        known ?? findEpoch(entityManager),
      ]);
      this.#epochs.set(cell, found);
      if (known === undefined && position > 0n && epoch !== found)
        throw this.#tokenOfOther(cell, newest, `the database of cell ${cell} was restored since`);
      if (position > newest || (mustCompare && (eventId === null || markOf(eventId) !== mark)))
        throw this.#tokenOfOther(
          cell,
          newest,
          'after_token is of events that this database does not have',
        );
      return newest;
    });
  }

  /** The database lost its newest writes, or is another one. The next events would be missed. */
  #tokenOfOther(cell: string, newest: bigint, what: string): Failure {
    const epoch = this.#epochs.get(cell) ?? 0;
    const there = new Map(this.#places).set(cell, { position: newest, mark: 0, epoch });
    return positionLost(this.token, encodeStreamToken(there, this.#cells), what);
  }

  /**
   * The next events of a cell, and the token up to which they were read. They are encoded at once, so that a stream
   * that waits for its reader keeps bytes and no events.
   */
  async read(
    context: ServiceContext,
    newest: bigint,
    filter: EventFilter,
  ): Promise<readonly EventPage[]> {
    const { cell } = context;
    const epoch = this.#epochs.get(cell) ?? 0;
    const { events, end } = await readEvents(context, this.at(context).position, newest, filter);
    const until = { ...end, epoch };
    const tokenAt = (place: Place) =>
      encodeStreamToken(new Map(this.#places).set(cell, place), this.#cells);
    const tokenAfter = (last: { position: bigint; eventId: string } | null) =>
      tokenAt(last ? { position: last.position, mark: markOf(last.eventId), epoch } : until);
    const pages = encodeStreamPages(events, EventMessage, eventMessage, (writer, last) =>
      writer.tag(RESUME_AFTER_FIELD, WireType.LengthDelimited).string(tokenAfter(last)),
    );
    const encoded = Array.from(pages, ({ bytes, last }) => ({
      bytes,
      nextToken: tokenAfter(last),
    }));
    this.#places.set(cell, until);
    return encoded;
  }
}

/**
 * The next events, and the place up to which they were read. The events of one account have an index of their own,
 * so a page of them is limited by its events alone. A page of all events is also limited to PAGE_SIZE positions,
 * because the filter is applied to each.
 */
async function readEvents(
  context: ServiceContext,
  after: bigint,
  newest: bigint,
  filter: EventFilter,
) {
  const end = after + BigInt(PAGE_SIZE);
  const upTo = filter.accountId || end > newest ? newest : end;
  return await readInCell(context, async ({ em, cells }) => {
    const entityManager = em();
    // One cell has tokens without marks, and nothing that is in another one.
    if (cells.isOne) {
      const events = await findEvents(entityManager, after, upTo, filter, PAGE_SIZE);
      return { events, end: placeAfter(events, { position: upTo, mark: 0 }) };
    }
    // In this order: an event is deleted by the transaction that says where it is.
    const [own, moved] = await Promise.all([
      findEvents(entityManager, after, upTo, filter, PAGE_SIZE),
      findMovedEvents(entityManager, after, upTo, filter.accountId, PAGE_SIZE),
    ]);
    const lastMoved = moved.at(-1);
    const last = lastMoved && moved.length === PAGE_SIZE ? lastMoved.position : upTo;
    const events = [
      ...own.filter(({ position }) => position <= last),
      // One that left between the two queries is in both.
      ...(await readMovedEvents(context, withoutThose(moved, own), filter)),
    ]
      .sort((one, other) => (one.position < other.position ? -1 : 1))
      .slice(0, PAGE_SIZE);
    const eventId = await findEventIdAt(entityManager, last);
    const there = { position: last, mark: eventId === null ? 0 : markOf(eventId) };
    return { events, end: placeAfter(events, there) };
  });
}

function withoutThose(moved: readonly MovedEvent[], own: readonly PositionedEvent[]) {
  const ids = new Set(own.map(({ eventId }) => eventId));
  return moved.filter(({ eventId }) => !ids.has(eventId));
}

type End = Omit<Place, 'epoch'>;

const placeAfter = (events: readonly PositionedEvent[], end: End): End => {
  const last = events.at(-1);
  return last && events.length === PAGE_SIZE
    ? { position: last.position, mark: markOf(last.eventId) }
    : end;
};

/** Events that have their positions in a cell, from the cells that their accounts are in now. */
async function readMovedEvents(
  { cells }: ServiceContext,
  moved: readonly MovedEvent[],
  filter: EventFilter,
): Promise<readonly PositionedEvent[]> {
  if (moved.length === 0) return [];
  const positions = new Map(moved.map(({ eventId, position }) => [eventId, position]));
  const byCell = Map.groupBy(moved, ({ accountId }) => cells.of(accountId));
  const found = await Promise.all(
    Array.from(byCell, ([context, keys]) =>
      readInCell(context, ({ em }) => findEventsByKey(em(), keys, filter)),
    ),
  );
  return found.flat().flatMap((event) => {
    const position = positions.get(event.eventId);
    return position === undefined ? [] : [{ ...event, position }];
  });
}

function parseRequest(
  request: StreamEventsRequest,
  cells: readonly string[],
): {
  filter: Omit<EventFilter, 'scope'>;
  after: Places;
} {
  const check = new FieldChecker();
  const after = decodeStreamToken('after_token', request.afterToken, check, cells);
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
