/**
 * StreamEvents: the events of every cell in the order of their positions, read page by page. A stream that follows
 * goes on without cells that cannot be reached, from where it is in each of them.
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
  findEventIdAt,
  findEvents,
  newestPosition,
} from '../../queries/events.ts';
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

  for (;;) {
    const found = request.follow && !accountId ? cells.reachable() : cells.allOf(accountId);
    const newest = new Map<ServiceContext, bigint>();
    for (const cell of found) newest.set(cell, await reader.newestOf(cell));
    // A page of each cell in turn: one with many events does not hold up the others.
    for (let behind = found; behind.length > 0 && !ended.aborted; ) {
      behind = behind.filter((cell) => reader.at(cell).position < (newest.get(cell) ?? 0n));
      for (const cell of behind) {
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
    await waitBeyond(newest, ended, !accountId && found.length < cells.names.length);
  }
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
  /** Cells whose place was compared with what their database has. */
  readonly #compared = new Set<string>();

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
      const { position, mark } = this.at(context);
      const mustCompare = mark !== 0 && !this.#compared.has(cell);
      const entityManager = em();
      const [newest, eventId] = await Promise.all([
        newestPosition(entityManager),
        mustCompare ? findEventIdAt(entityManager, position) : null,
      ]);
      if (position > newest || (mustCompare && (eventId === null || markOf(eventId) !== mark)))
        throw this.#tokenOfOther(cell, newest);
      this.#compared.add(cell);
      return newest;
    });
  }

  /** The database lost its newest writes, or is another one. The next events would be missed. */
  #tokenOfOther(cell: string, newest: bigint): Failure {
    const there = new Map(this.#places).set(cell, { position: newest, mark: 0 });
    return positionLost(
      this.token,
      encodeStreamToken(there, this.#cells),
      'after_token is of events that this database does not have',
    );
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
    const { events, until } = await readEvents(context, this.at(context).position, newest, filter);
    const tokenAt = (place: Place) =>
      encodeStreamToken(new Map(this.#places).set(cell, place), this.#cells);
    const tokenAfter = (last: { position: bigint; eventId: string } | null) =>
      tokenAt(last ? { position: last.position, mark: markOf(last.eventId) } : until);
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
    const [events, eventId] = await Promise.all([
      findEvents(entityManager, after, upTo, filter, PAGE_SIZE),
      // One cell has tokens without marks.
      cells.isOne ? null : findEventIdAt(entityManager, upTo),
    ]);
    const last = events.at(-1);
    const until: Place =
      last && events.length === PAGE_SIZE
        ? { position: last.position, mark: markOf(last.eventId) }
        : { position: upTo, mark: eventId === null ? 0 : markOf(eventId) };
    return { events, until };
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
