/**
 * What was decided in shadow mode: it makes no entries, so it is not known between which two entries each decision was made.
 * One after the other, in their order, each must be right on the account at some seq that its request can have seen.
 */
import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import { requestDeciding } from './attempt-problem.ts';
import { differences, textOf } from './compare.ts';
import { decide } from './model/decide.ts';
import { settle } from './model/due.ts';
import { Refusal } from './model/refusal.ts';
import type { First, Request } from './model/requests.ts';
import { dueInShadow } from './model/shadow.ts';
import { decideBatchInShadow } from './model/shadow-batch.ts';
import type { ModelDecision, ShadowState } from './model/shadow-state.ts';
import type { AccountState } from './model/state.ts';
import type { Attempt, Observed } from './observations.ts';
import { attemptTo } from './outcome-problem.ts';
import type { PendingChecks } from './pending-checks.ts';
import type { MadeByRequest } from './request-ids.ts';
import { bodyOf, keyOfDecision, keyOfRequest } from './request-keys.ts';

export class Decisions {
  readonly #observed: Observed;
  readonly #byKey: ReadonlyMap<string, readonly Attempt[]>;
  readonly #pending: PendingChecks;
  readonly #made: Map<string, MadeByRequest>;
  #position = 0;
  /** What the account's shadow was before each decision, by its position. Of a batch: before its first. */
  readonly #shadows = new Map<number, ShadowState | null>();
  /** Why the next one was right at none of the last seqs. */
  #problems: string[] = [];

  /** `made` learns which request each decision is of. */
  constructor(
    observed: Observed,
    byKey: ReadonlyMap<string, readonly Attempt[]>,
    pending: PendingChecks,
    made: Map<string, MadeByRequest>,
  ) {
    this.#observed = observed;
    this.#byKey = byKey;
    this.#pending = pending;
    this.#made = made;
  }

  /** Which decision was right at no seq; empty: none. */
  get problem(): string {
    const next = this.#next;
    if (!next) return '';
    const last = [...new Set(this.#problems)].slice(-6).join('\n  ');
    return `decision ${decisionText(next)} is right at no seq:\n  ${last}`;
  }

  get #next(): ShadowDecision | undefined {
    return this.#observed.decisions[this.#position];
  }

  /** Takes the next decision over, if it can have been made on the account as it is. */
  take(state: AccountState): boolean {
    const next = this.#next;
    const now = next?.at?.getTime() ?? 0;
    if (!next || state.seq === 0n || now < state.lastAt) return false;
    const problem =
      next.requestId === '' ? this.#takeExpiry(state, next, now) : this.#takeWork(state, next, now);
    if (problem === '') this.#problems = [];
    else this.#problems.push(`at seq ${state.seq}: ${problem}`);
    return problem === '';
  }

  /**
   * The account as it was before its last decisions, as far as they are right on it now as well: then they may have been
   * made only now.
   */
  *before(state: AccountState): Generator<AccountState, void, void> {
    for (const [position, shadow] of [...this.#shadows].reverse()) {
      if (shadow?.mode !== state.shadow?.mode) return;
      const earlier = state.copy();
      earlier.shadow = shadow;
      if (!this.#isRightAgain(position, earlier.copy())) return;
      yield earlier;
    }
  }

  /** Whether all decisions from this position on are right on an account. */
  #isRightAgain(position: number, state: AccountState): boolean {
    const again = new Decisions(this.#observed, this.#byKey, this.#pending, new Map());
    again.#position = position;
    while (again.#position < this.#position) if (!again.take(state)) return false;
    return again.#position === this.#position;
  }

  #takeExpiry(state: AccountState, next: ShadowDecision, now: number): string {
    const from = this.#pending.seqBefore(this.#observed.timeline.reached(now));
    if (state.seq < from) return `it is made at seq ${from} or later`;
    const trial = settledAt(state, now);
    const due = dueInShadow(trial, now);
    const soonest = due.filter(({ at }) => at === due[0]?.at);
    const own = soonest.find(({ subject }) => subject === next.reservationId);
    if (!own) return 'no such job is due';
    own.apply();
    return this.#accept(state, trial);
  }

  #takeWork(state: AccountState, next: ShadowDecision, now: number): string {
    const key = keyOfDecision(next);
    const attempts = this.#byKey.get(key) ?? [];
    if (attempts.length === 0) return 'nobody asked for it';
    if (this.#made.has(key)) return `it is a second one of ${key}`;
    const batch = attempts.find(({ together }) => together)?.together;
    if (batch)
      return this.#windowProblem(attempts, state, now) || this.#decideBatch(state, batch, now);
    const bodies = [...new Map(attempts.map(({ request }) => [bodyOf(request), request])).values()];
    const problems = bodies.map((request) => {
      const own = attempts.filter((attempt) => bodyOf(attempt.request) === bodyOf(request));
      return this.#windowProblem(own, state, now) || this.#decide(state, request, own, next, now);
    });
    if (!problems.includes('')) return problems.join('; ');
    const request = bodies[problems.indexOf('')];
    if (request) this.#keep(request, next);
    return '';
  }

  #keep(request: Request, { seq }: ModelDecision) {
    this.#made.set(keyOfRequest(request), { request, seq, from: seq, until: seq });
  }

  /** All decisions of an atomic batch follow each other. A request of one is sent by no other call. */
  #decideBatch(state: AccountState, batch: readonly Request[], now: number): string {
    const parts = batch.map((request) => ({
      request,
      deciding: requestDeciding(request, now, this.#reservationOf(request)),
    }));
    const made = attemptTo(() => decideBatchInShadow(settledAt(state, now), parts));
    if (made instanceof Error) return `the model says: ${made.message}`;
    if (made instanceof Refusal) return `the batch must be refused with ${made.reason}`;
    const { decided, responses } = made;
    const ownOf = ({ value }: Request) =>
      decided.find(({ requestId }) => requestId === value.requestId);
    if (!batch.every(ownOf)) return 'not all of the batch is work of shadow mode';
    for (const [index, request] of batch.entries()) {
      const attempts = this.#byKey.get(keyOfRequest(request)) ?? [];
      const problem = answersProblem(attempts, responses[index] as First);
      if (problem) return problem;
    }
    const problem = this.#accept(state, { decided, shadow: made.state.shadow });
    if (problem) return problem;
    for (const request of batch) this.#keep(request, ownOf(request) as ModelDecision);
    return '';
  }

  /** The reservation that a request has made. */
  #reservationOf(request: Request): string {
    const key = keyOfRequest(request);
    const following = this.#observed.decisions.slice(this.#position);
    return following.find((decision) => keyOfDecision(decision) === key)?.reservationId ?? '';
  }

  /** Whether it can have been made here and now: between the first sending of its request, or its time, and its first answer. */
  #windowProblem(attempts: readonly Attempt[], state: AccountState, now: number): string {
    const sent = Math.min(...attempts.map((attempt) => attempt.sent));
    const begun = Math.max(sent, this.#observed.timeline.reached(now));
    const answered = attempts.filter(
      ({ outcome }) => outcome.kind === 'answer' && outcome.answer.entrySeq > 0n,
    );
    const received = Math.min(...answered.map((attempt) => attempt.received));
    const [from, until] = [this.#pending.seqBefore(begun), this.#pending.seqAfter(received)];
    if (state.seq < from || state.seq > until) return `it is made at seq ${from} to ${until}`;
    const times = this.#observed.timeline.timesWithin({ sent, received });
    return times.includes(now) || now === state.lastAt ? '' : 'nobody asked at that time';
  }

  #decide(
    state: AccountState,
    request: Request,
    attempts: readonly Attempt[],
    next: ShadowDecision,
    now: number,
  ): string {
    const trial = settledAt(state, now);
    const deciding = requestDeciding(request, now, next.reservationId);
    const response = attemptTo(() => decide(trial, request, deciding));
    if (response instanceof Error) return `the model says: ${response.message}`;
    if (response instanceof Refusal) return `must be refused with ${response.reason}`;
    if (trial.decided.length === 0) return 'it is no work of shadow mode';
    return answersProblem(attempts, response) || this.#accept(state, trial);
  }

  /** The decisions that the model has made, if they are the next ones. */
  #accept(
    state: AccountState,
    {
      decided,
      shadow,
    }: { readonly decided: readonly ModelDecision[]; readonly shadow: ShadowState | null },
  ): string {
    for (const [index, expected] of decided.entries()) {
      const actual = this.#observed.decisions[this.#position + index];
      const problem = actual ? decisionProblem(actual, expected) : 'there is no such decision';
      if (problem) return `decision ${expected.seq}: ${problem}`;
    }
    this.#shadows.set(this.#position, state.shadow);
    this.#position += decided.length;
    state.shadow = shadow;
    return '';
  }
}

/** What is due counts, though it may not be written yet. */
function settledAt(state: AccountState, now: number): AccountState {
  const settled = state.copy();
  settle(settled, now);
  return settled;
}

function answersProblem(attempts: readonly Attempt[], response: First): string {
  for (const { step, outcome } of attempts) {
    if (outcome.kind !== 'answer' || outcome.answer.entrySeq === 0n) continue;
    const { replay: _, ...first } = outcome.answer;
    const problem = differences(first, response);
    if (problem) return `step ${step} was answered otherwise: ${problem}`;
  }
  return '';
}

/** In what a decision differs from the model's; empty if in nothing. Of a refusal the model predicts the most important values. */
function decisionProblem({ traceId: _, ...actual }: ShadowDecision, expected: ModelDecision) {
  const predicted = [...expected.refusalMetadata.keys()];
  const refusalMetadata = new Map(
    predicted.map((name) => [name, actual.refusalMetadata.get(name) ?? '']),
  );
  return differences({ ...actual, refusalMetadata }, expected);
}

const decisionText = (decision: ShadowDecision): string =>
  textOf({ ...decision, traceId: undefined });
