/**
 * Decides work of an account in shadow mode. It is decided as if all work of shadow mode had been charged. Where it
 * would have been refused for what the account has or may do, that is recorded, and it is decided again as if
 * nothing were in the way: its caller is never refused. It uses nothing of the account then, as a refusal uses nothing.
 * Errors of the request, or of the state of its job, stay errors.
 */
import { Failure, type Reason } from '../../failure.ts';
import { availableCredits } from '../account.ts';
import type { Allocation } from '../allocation/allocation.ts';
import type { Book } from '../book.ts';
import { counterName } from '../budget.ts';
import { type Command, decide } from '../decide.ts';
import type { Origin, UnsealedEntry } from '../entry.ts';
import { isSameMonth } from '../periods/period.ts';
import { type RefundableEntry, startOf, toRefundableEntry } from '../refundable.ts';
import { settle } from '../settle.ts';
import {
  nameOfRequest,
  type Refusal,
  type Shadow,
  type ShadowDecision,
  type ShadowRefundable,
  type ShadowReservation,
} from './shadow.ts';
import { addMoves, beginAgain, withBudgets } from './shadow-use.ts';
import { AS_CHARGED, simulatedBook } from './simulated-book.ts';

/** What an account has or may do: such work is refused once shadow mode is over. */
const REFUSALS: ReadonlySet<Reason> = new Set([
  'INSUFFICIENT_CREDITS',
  'OVERAGE_LIMIT_REACHED',
  'BUDGET_EXCEEDED',
  'PAUSED_BELOW_FLOOR',
  'ACCOUNT_SUSPENDED',
  'ACCOUNT_CLOSED',
]);

type Outcome = Exclude<ReturnType<typeof decide>, Failure>;

/** What was decided, and the Book that the account would have then. */
export type DecidedInShadow = {
  readonly outcome: Outcome;
  readonly book: Book;
  /** The first decision that it wrote; null: it changed nothing. */
  readonly decision: ShadowDecision | null;
};

/** A Failure has changed nothing but what is due by itself. `book` is not changed. */
export function decideInShadow(
  book: Book,
  shadow: Shadow,
  command: Command,
  origin: Origin,
): DecidedInShadow | Failure {
  const { since = 0 } = book.account.shadow ?? {};
  if (shadow.use.since !== since) shadow.use = beginAgain(shadow.use, since);
  shadow.use = withBudgets(shadow.use, book.account.budgets);
  settleShadow(book, shadow, origin);
  const uncounted = isUncounted(shadow, command);
  const restored = splitOfFormer(shadow, command);
  const ofBatch = shadow.batchRefusals?.get(nameOfRequest(command.kind, origin.requestId));
  const allowed = (refusal: Refusal) => {
    const unlimited = simulatedBook(book, shadow, { unlimited: true, uncounted: true, restored });
    const outcome = decide(unlimited, command, origin);
    if (outcome instanceof Failure) return outcome;
    return record(book, shadow, unlimited, outcome, refusal);
  };
  // A decision that succeeds changes the job that it is about, so it is made once.
  if (ofBatch) return allowed(ofBatch);
  const limited = simulatedBook(book, shadow, { unlimited: false, uncounted, restored });
  const outcome = decide(limited, command, origin);
  if (!(outcome instanceof Failure)) return record(book, shadow, limited, outcome, null);
  return REFUSALS.has(outcome.reason) ? allowed(toRefusal(outcome)) : outcome;
}

export const toRefusal = ({ reason, metadata }: Failure): Refusal => ({
  reason,
  details: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, `${value}`])),
});

/** What no budget has counted gives nothing back to one. */
function isUncounted({ reservations, refundables }: Shadow, command: Command): boolean {
  if ('reservationId' in command)
    return reservations.get(command.reservationId)?.isRefused ?? false;
  return command.kind === 'Refund' && (refundables.get(command.seq)?.isRefused ?? false);
}

/** Whether it was charged before shadow mode began again: what is used now has nothing of it. */
const isFormer = ({ seq }: RefundableEntry, { use }: Shadow): boolean => seq <= use.sinceSeq;

/** What a refund of such a charge may give back. */
function splitOfFormer(shadow: Shadow, command: Command): readonly Allocation[] {
  const refunded = command.kind === 'Refund' ? shadow.refundables.get(command.seq) : undefined;
  return refunded && isFormer(refunded, shadow) ? refunded.split : [];
}

/** Expires the jobs whose time is over. Their grants and the rest of the account were settled before. */
function settleShadow(book: Book, shadow: Shadow, origin: Origin) {
  const isDue = ({ state, expiresAt }: ShadowReservation) =>
    state === 'ACTIVE' && expiresAt <= book.now;
  if (![...shadow.reservations.values()].some(isDue)) return;
  const simulated = simulatedBook(book, shadow, AS_CHARGED);
  settle(simulated, origin);
  take(book, shadow, simulated, null);
}

function record(
  book: Book,
  shadow: Shadow,
  simulated: Book,
  outcome: Outcome,
  refusal: Refusal | null,
): DecidedInShadow {
  const [decision = null] = take(book, shadow, simulated, refusal);
  const after = simulatedBook(book, shadow, AS_CHARGED);
  after.account.owed = book.account.owed;
  return { outcome, book: after, decision };
}

/** Takes over what was decided on a simulated Book. Returns its decisions. */
function take(
  book: Book,
  shadow: Shadow,
  simulated: Book,
  refusal: Refusal | null,
): readonly ShadowDecision[] {
  const { changes } = simulated;
  const { timeZones } = book.account;
  const isRefused = refusal !== null;
  for (const reservation of changes.reservations.added) keep(shadow, { ...reservation, isRefused });
  for (const reservation of changes.reservations.changed)
    keep(shadow, reservation as ShadowReservation);
  takeCounters(book, shadow, simulated);
  return changes.entries.filter(isOfWork).map((entry) => {
    const { seq, at, moves, usedAt } = entry;
    const refunded = shadow.refundables.get(entry.refundedSeq ?? 0n);
    // A refund of an earlier month's overage, and late usage of it, leaves this month's count as it is.
    const isOfMonth = isSameMonth(timeZones, at, refunded?.at ?? usedAt ?? at);
    const counted = refunded && isFormer(refunded, shadow) ? [] : moves;
    shadow.use = { ...addMoves(shadow.use, counted, timeZones, at, isOfMonth), seq };
    const availableAfter = availableOf(book, shadow);
    const decision = Object.assign(entry, { refusal, availableAfter });
    shadow.decisions.push(decision);
    if (entry.kind === 'COMMIT' || entry.kind === 'CHARGE')
      shadow.refundables.set(seq, toRefundable(shadow, decision));
    if (refunded) refunded.refunded += entry.credits;
    return decision;
  });
}

/** As `loadShadowRefundables` reads it: what was committed of a job that would have been refused is refused as well. */
function toRefundable({ reservations }: Shadow, decision: ShadowDecision): ShadowRefundable {
  const refundable = toRefundableEntry(decision, 0n);
  const job = reservations.get(decision.reservationId ?? '');
  if (job) refundable.start = startOf(job);
  return { ...refundable, isRefused: decision.refusal !== null || (job?.isRefused ?? false) };
}

/** A refund to a grant that has expired makes no other grant here: nobody could use it later. */
const isOfWork = ({ kind }: UnsealedEntry): boolean => kind !== 'GRANT';

function keep(shadow: Shadow, reservation: ShadowReservation) {
  shadow.reservations.set(reservation.reservationId, reservation);
  shadow.changedReservations.add(reservation.reservationId);
}

function takeCounters({ budgetCounters }: Book, shadow: Shadow, simulated: Book) {
  if (simulated.changes.budgetCounters.size === 0) return;
  const counters = new Map(shadow.use.counters);
  for (const counter of simulated.changes.budgetCounters) {
    const name = counterName(counter);
    counters.set(name, counter.used - (budgetCounters?.get(name)?.used ?? 0n));
  }
  shadow.use = { ...shadow.use, counters };
}

const availableOf = (book: Book, shadow: Shadow): bigint =>
  availableCredits(simulatedBook(book, shadow, AS_CHARGED).account);
