/** Decides one task of a unit of work on the Book of its account, as the tasks before it left it. */

import { clockUnreliable } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import { Book, MoreGrantsNeeded } from '../ledger/book.ts';
import type { LimitedCaller } from '../ledger/caller-limits.ts';
import { type Command, decide, isTrial } from '../ledger/decide.ts';
import type { Origin, Trace, UnsealedEntry } from '../ledger/entry.ts';
import { returnsForLateUsage } from '../ledger/expired-allowances.ts';
import {
  accountExists,
  accountNotFound,
  accountNotImported,
  planNotFound,
  requestArchived,
  requestExpired,
} from '../ledger/failures.ts';
import type { ImportAccount } from '../ledger/import/import-account.ts';
import { newAccount, type OpenAccount } from '../ledger/rules/account.ts';
import { importedAccount } from '../ledger/rules/import-account.ts';
import { decideInShadow } from '../ledger/shadow/decide-in-shadow.ts';
import type { Shadow } from '../ledger/shadow/shadow.ts';
import { closeStatement } from '../ledger/statement-closing.ts';
import { newId } from '../new-id.ts';
import { packResponse, unpackResponse } from '../store/packed-response.ts';
import { denyOnRows, maySeeReplay, opensAccount } from './deny-on-rows.ts';
import { type LoadedUnit, requestKey } from './loaded-unit.ts';
import type {
  Answer,
  InternalCommand,
  Request,
  SingleTask,
  StatementClosing,
  StoredResponse,
} from './task.ts';

/** Not decided: another replica has locked the account, or more is to be settled on it first. */
export const DEFERRED = Symbol('deferred');
/** Not decided: the cached account is not enough. The next unit of work reads the account. */
export const CACHE_MISS = Symbol('cache miss');
export type Undecided = typeof DEFERRED | typeof CACHE_MISS;

/** `at` is the time when everything was locked and loaded: the time of the unit was read before. */
export function decideTask(
  unit: LoadedUnit,
  task: SingleTask,
  trace: Trace,
  at: number,
): Answer | Undecided {
  const { accountId } = task;
  if (unit.lockedElsewhere.has(accountId)) return DEFERRED;
  if (unit.needsReload.has(accountId) || unit.needsGrants.has(accountId)) return CACHE_MISS;
  if (task.type === 'request') {
    const denied = denyOnRows(unit.books.get(accountId) ?? null, task, shadowOf(unit, accountId));
    if (denied) return orReload(unit, accountId, denied);
  }
  if (unit.waitingForClock.has(accountId))
    return (task.type === 'request' && replay(unit, task)) || clockUnreliable();
  if (unit.unsettled.has(accountId)) return 'command' in task ? DEFERRED : null;
  switch (task.type) {
    case 'settlement':
      return null;
    case 'statement closing':
      return close(unit, task, trace);
    case 'internal command':
      return decideCommand(unit, task, null, (outcome) => outcome);
    case 'request':
      return decideRequest(unit, task, at);
  }
}

function close(
  { books, isClockReliable }: LoadedUnit,
  { accountId, closing }: StatementClosing,
  trace: Trace,
): null | Failure {
  if (!isClockReliable) return clockUnreliable();
  const book = books.get(accountId);
  if (book) closeStatement(book, closing, trace);
  return null;
}

function decideRequest(unit: LoadedUnit, request: Request, at: number): Answer | Undecided {
  const replayed = replay(unit, request);
  if (replayed) return replayed;
  const { call } = request;
  if (call) call.planId = unit.books.get(request.accountId)?.account.planId ?? '';
  if (request.isAbandoned())
    return new Failure(
      'CANCELLED',
      'the caller gave up before the work began; nothing was written',
    );
  const { accountId, notAfter, dayTally, blockedBy } = request;
  if (notAfter !== null && notAfter < at)
    return orReload(unit, accountId, requestExpired(notAfter, at));
  if (blockedBy) return orReload(unit, accountId, blockedBy);
  const shadowed = unit.shadows && decideShadowed(unit, unit.shadows, request);
  if (shadowed) return shadowed;
  return decideCommand(
    unit,
    request,
    limitedCallerOf(request, unit.now),
    (outcome, book, entry) => {
      const response = request.encodeResponse(outcome, book);
      dayTally?.set(unit.now, book.creditsMoved);
      call?.decided(entry, false);
      if (entry && !isTrial(request.command)) remember(unit, request, response, entry);
      return { response, firstAnsweredAt: null, creditsMoved: book.creditsMoved };
    },
  );
}

const shadowOf = ({ shadows }: LoadedUnit, accountId: string): Shadow | null =>
  shadows?.get(accountId) ?? null;

/** Null: it is not work of shadow mode. Such work moves no credits, so it counts for no limit of its caller. */
function decideShadowed(
  unit: LoadedUnit,
  shadows: ReadonlyMap<string, Shadow>,
  request: Request,
): Answer | Undecided | null {
  const { accountId, command, origin, dayTally, call } = request;
  const shadow = shadows.get(accountId);
  const book = unit.books.get(accountId);
  if (!shadow || !book || !shadow.takes(book, command)) return null;
  // Its row must be locked: nothing else proves what shadow mode has used.
  if (unit.cached.has(accountId)) {
    unit.needsReload.add(accountId);
    return CACHE_MISS;
  }
  const decided = decideInShadow(book, shadow, command, origin);
  if (decided instanceof Failure) return decided;
  const { outcome, decision } = decided;
  const response = request.encodeResponse(outcome, decided.book);
  dayTally?.set(unit.now, 0n);
  call?.decided(decision, false);
  if (decision) remember(unit, request, response, decision);
  return { response, firstAnsweredAt: null, creditsMoved: 0n };
}

function limitedCallerOf(
  { permissions, command, origin, dayTally }: Request,
  now: number,
): LimitedCaller | null {
  const limits = permissions?.creditLimits ?? null;
  if (limits === null) return null;
  const movedToday = dayTally?.others(now) ?? null;
  return { caller: origin.caller, method: command.kind, limits, movedToday };
}

/**
 * A failure before the decision. On a cached account the request id was not looked up, so that the request may
 * have taken effect before, and its row may have changed since: it is read first.
 */
function orReload(unit: LoadedUnit, accountId: string, failure: Failure): Failure | Undecided {
  if (!unit.cached.has(accountId)) return failure;
  unit.needsReload.add(accountId);
  return CACHE_MISS;
}

/** The first response again, if the request id was used before for the same content. */
function replay(
  { requests, archivedRequests, books }: LoadedUnit,
  task: Request,
): StoredResponse | Failure | null {
  const { accountId, command, origin, fingerprint } = task;
  const { requestId } = origin;
  const key = requestKey(accountId, requestId, command.kind);
  const before = requests.get(key);
  if (!before)
    return archivedRequests.has(key) ? requestArchived(accountId, requestId, command.kind) : null;
  const book = books.get(accountId) ?? null;
  if (!maySeeReplay(book, task, before.caller))
    return opensAccount(command) ? null : requestIdOfOther(task);
  const { request, at } = before;
  const isSame = request.fingerprint && Buffer.compare(request.fingerprint, fingerprint) === 0;
  if (isSame && request.response) {
    task.call?.decided(before, true);
    return {
      response: unpackResponse(request.response, before),
      firstAnsweredAt: at,
      creditsMoved: 0n,
    };
  }
  return new Failure(
    'REQUEST_ID_REUSED',
    `request id ${requestId} was used before for ${command.kind}, with other content`,
    { request_id: requestId, method: command.kind, account_id: accountId },
  );
}

/** Without a word of what it was used for. */
const requestIdOfOther = ({ accountId, command, origin: { requestId } }: Request): Failure =>
  new Failure(
    'REQUEST_ID_REUSED',
    `request id ${requestId} was used before for ${command.kind}, by another caller`,
    { request_id: requestId, method: command.kind, account_id: accountId },
  );

/** Stores the request with the first entry that it wrote. One that changed nothing is not remembered. */
function remember(
  unit: LoadedUnit,
  { accountId, command, origin, fingerprint }: Request,
  response: Uint8Array,
  entry: UnsealedEntry,
) {
  const { requestId } = origin;
  const method = command.kind;
  const request = { method, fingerprint, response: packResponse(response, entry) };
  unit.requests.set(requestKey(accountId, requestId, method), Object.assign(entry, { request }));
}

/**
 * Decides a command. On a cached account an outcome counts only if it wrote an entry: that update proves
 * that the cached version was current and the request id new. A failure, above all, proves nothing.
 */
function decideCommand(
  unit: LoadedUnit,
  { accountId, command, origin }: Pick<InternalCommand, 'accountId' | 'command' | 'origin'>,
  limited: LimitedCaller | null,
  /** Given the first entry that the command wrote; null if it wrote none. */
  answer: (
    outcome: Exclude<ReturnType<typeof decide>, Failure>,
    book: Book,
    entry: UnsealedEntry | null,
  ) => Answer,
): Answer | Undecided {
  const book = bookFor(unit, accountId, command);
  if (book instanceof Failure) return book;
  const { entries } = book.changes;
  const before = entries.length;
  const outcome = decideOn(book, command, origin, limited);
  if (outcome === null) {
    // Of a cached account the first grants may be spent by now: the next ones are read as usual.
    (unit.cached.has(accountId) ? unit.needsReload : unit.needsGrants).add(accountId);
    return CACHE_MISS;
  }
  if (unit.cached.has(accountId) && entries.length === before) {
    unit.needsReload.add(accountId);
    return CACHE_MISS;
  }
  if (outcome instanceof Failure) return outcome;
  if (isTrial(command)) book.creditsMoved = 0n;
  else if (!unit.books.has(accountId)) {
    unit.books.set(accountId, book);
    unit.opened.add(book);
  }
  // What returns for late usage comes before the command's own entry.
  const own = entries.slice(before).find((entry) => !returnsForLateUsage(entry));
  return answer(outcome, book, own ?? null);
}

/** Null: the rule needs grants that were not loaded, and has changed nothing. */
function decideOn(book: Book, command: Command, origin: Origin, limited: LimitedCaller | null) {
  try {
    return decide(book, command, origin, limited);
  } catch (error) {
    if (error instanceof MoreGrantsNeeded) return null;
    throw error;
  }
}

function bookFor(unit: LoadedUnit, accountId: string, command: Command): Book | Failure {
  const book = unit.books.get(accountId);
  if (!opensAccount(command)) return book ?? accountNotFound(accountId);
  if (!book) return openBook(unit, accountId, command);
  return command.kind === 'OpenAccount' ? accountExists(accountId) : accountNotImported(accountId);
}

/** The Book of an account that does not exist yet, for its command to fill. It counts once the command has succeeded. */
function openBook(
  unit: LoadedUnit,
  accountId: string,
  command: OpenAccount | ImportAccount,
): Book | Failure {
  const { plans, now } = unit;
  const plan = plans.get(command.planId)?.planAt(now);
  if (!plan) return planNotFound(command.planId, plans.keys());
  // A new account is granted the allowance of the period that contains now; an imported one was used in its month.
  const dependsOnTime = plan.terms.allowance !== null || command.kind === 'ImportAccount';
  if (!unit.isClockReliable && dependsOnTime) return clockUnreliable();
  return new Book(
    {
      account:
        command.kind === 'OpenAccount'
          ? newAccount(accountId, command, plan, now)
          : importedAccount(accountId, command, plan, now),
      plans,
      grants: [],
      loadedUpTo: null,
      reservations: [],
      purchases: [],
      customPacks: [],
      refundables: [],
      budgetCounters: null,
      nextReservationExpiry: null,
      plansLeft: [],
      usageSince: now,
    },
    now,
    newId(now),
  );
}
