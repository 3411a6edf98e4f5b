/** What a lane queues: tasks on one account each, and how each kind of task is answered. */

import type { Failure } from '../failure.ts';
import type { Book } from '../ledger/book.ts';
import type { Command, Outcome, RequestedCommand } from '../ledger/decide.ts';
import type { Origin, Trace } from '../ledger/entry.ts';
import type { StatementToClose } from '../ledger/statement-closing.ts';
import type { Permissions } from '../policy/permissions.ts';
import type { CallRecord } from '../telemetry/call-record.ts';

/** A mutation that a caller asked for. Its request id makes it safe to repeat. */
export type Request = {
  readonly type: 'request';
  readonly accountId: string;
  readonly command: RequestedCommand;
  readonly origin: Origin;
  /** What is recorded of the call; null: nothing. */
  readonly call: CallRecord | null;
  /** What the caller may do; null: everything. Its method and the account's id have been checked. */
  readonly permissions: Permissions | null;
  /** Hash of the request's content: the same request id must come with the same content. */
  readonly fingerprint: Uint8Array;
  /** After this instant, in epoch milliseconds, the request must have no effect. Null: no limit. */
  readonly notAfter: number | null;
  /** The response as it is stored and sent. Called right after the decision, on the Book it left. */
  readonly encodeResponse: (outcome: Outcome, book: Book) => Uint8Array;
  /** Whether the caller has given up. Asked before each decision. */
  readonly isAbandoned: () => boolean;
  /** Counts what it moves against the day of its caller; null: nothing limits that here. */
  readonly dayTally: DayTally | null;
  /** Why this replica cannot carry it out, whatever the account; null: it can. A replay is answered all the same. */
  readonly blockedBy: Failure | null;
};

/** What one request moves on its caller's day. It may be decided several times, and counts once. */
export type DayTally = {
  /** What the other requests of the caller have moved on the day of this instant. */
  others(now: number): bigint;
  /** Counts what was decided, in place of what was counted before. */
  set(now: number, credits: bigint): void;
};

/** A command that the service gives itself. It has no request id and is decided each time. */
export type InternalCommand = {
  readonly type: 'internal command';
  readonly accountId: string;
  readonly command: Command;
  readonly origin: Origin;
};

/** Applies what has happened to the account by the passing of time. */
export type Settlement = {
  readonly type: 'settlement';
  readonly accountId: string;
  /** Who asked for it; null: unknown. */
  readonly cause: Trace | null;
};

/** Closes a month of the account, computed from its entries before. */
export type StatementClosing = {
  readonly type: 'statement closing';
  readonly accountId: string;
  readonly closing: StatementToClose;
  readonly cause: Trace | null;
};

/** Requests on one account that take effect together, in their order, or not at all. */
export type AtomicBatch = {
  readonly type: 'atomic batch';
  readonly accountId: string;
  readonly requests: readonly Request[];
};

/** A task that is decided by itself. */
export type SingleTask = Request | InternalCommand | Settlement | StatementClosing;

export type Task = SingleTask | AtomicBatch;

/** The tasks, with the requests of atomic batches one by one. */
export const singleTasks = (tasks: readonly Task[]): readonly SingleTask[] =>
  tasks.some(isAtomic) ? tasks.flatMap(singlesOf) : (tasks as readonly SingleTask[]);

const isAtomic = ({ type }: Task): boolean => type === 'atomic batch';

const singlesOf = (task: Task): readonly SingleTask[] =>
  task.type === 'atomic batch' ? task.requests : [task];

/** The requests of callers that a task carries. */
export const requestsOf = (task: Task): readonly Request[] => {
  if (task.type === 'request') return [task];
  return task.type === 'atomic batch' ? task.requests : [];
};

/** What a task weighs beside others: usages are priced, hashed and stored one by one. */
export function weightOf(task: Task): number {
  if (task.type === 'atomic batch')
    return task.requests.reduce((sum, request) => sum + weightOf(request), 0);
  if (!('command' in task) || !('amount' in task.command)) return 1;
  const { amount } = task.command;
  return typeof amount === 'object' && 'usages' in amount ? Math.max(1, amount.usages.length) : 1;
}

/** The first response to a request id, as it is stored with it. */
export type StoredResponse = {
  readonly response: Uint8Array;
  /** In a replay: when the request took effect. Null for the first response. */
  readonly firstAnsweredAt: number | null;
  /** What counts against the limits of its caller; 0 in a replay. */
  readonly creditsMoved: bigint;
};

/** Of an atomic batch, in the order of its requests: all responses, or all Failures. */
export type AtomicAnswer = readonly StoredResponse[] | readonly Failure[];

/**
 * A request is answered with its response, an internal command with its outcome, an atomic batch with the answers of its
 * requests, the others with null.
 */
export type Answer = StoredResponse | Outcome | AtomicAnswer | null | Failure;
