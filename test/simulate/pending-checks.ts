/**
 * Refusals, answers without an effect, and reads: each must be right at some moment between its sending and
 * its answer.
 */
import { type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { attemptProblem } from './attempt-problem.ts';
import { textOf } from './compare.ts';
import { settle } from './model/due.ts';
import type { Request, Response } from './model/requests.ts';
import { isDecision } from './model/shadow-state.ts';
import type { AccountState } from './model/state.ts';
import type { Attempt, Observed, Span } from './observations.ts';
import { readChecks } from './read-checks.ts';
import { bodyOf, isSameBatch, keyOfEntry } from './request-keys.ts';
import type { ReadSpec } from './trace.ts';

/** What must be right at some moment: between two seqs, both included. */
type Pending = Span & {
  readonly step: number;
  readonly what: string;
  readonly from: bigint;
  readonly until: bigint;
  /** What is wrong on the settled account at a time; empty if it is right. */
  readonly problem: (state: AccountState, now: number, loadedAt: number) => string;
  readonly sees: Sees;
  /** The atomic batch that it is a part of. Nothing else sees the account between two of its entries. */
  readonly together?: readonly Request[];
  /** What was wrong at the moments that were tried. */
  readonly problems: string[];
};

/** Whether what is due counts, though it is not written yet. */
type Sees = 'settled' | 'stored' | 'either';

/** What is read as it is stored; lists of grants may show both. */
const SEES: Readonly<Partial<Record<ReadSpec['read'], Sees>>> = {
  grants: 'either',
  entries: 'stored',
  'past balance': 'stored',
};

/** Refusals of requests that had been decided: checked by their request id. */
const AFTER_THE_FACT = new Set(['REQUEST_ID_REUSED', 'CHECKOUT_FAILED', 'BATCH_REFUSED']);

export class PendingChecks {
  readonly #observed: Observed;
  readonly #byKey: ReadonlyMap<string, readonly Attempt[]>;
  #pending: readonly Pending[];

  constructor(observed: Observed, byKey: ReadonlyMap<string, readonly Attempt[]>) {
    this.#observed = observed;
    this.#byKey = byKey;
    this.#pending = this.#list();
  }

  /** What was right at no moment; empty if there is none. */
  get problem(): string {
    const [wrong] = this.#pending;
    if (!wrong) return '';
    const { step, what, from, until, problems } = wrong;
    const last = [...new Set(problems)].slice(-8).join('\n  ');
    return `step ${step}: ${what} is right at no seq from ${from} to ${until}:\n  ${last}`;
  }

  /** Drops what is right on the account as it is now: `within` the entries of an atomic batch, or null. */
  check(state: AccountState, within: readonly Request[] | null) {
    const { seq } = state;
    this.#pending = this.#pending.filter((pending) => {
      const { from, until } = pending;
      if (seq < from || (within && !isSameBatch(within, pending.together))) return true;
      if (seq > until) {
        // The entries of a unit of work are skipped together.
        if (from <= until) return true;
      }
      for (const [now, loadedAt] of this.#momentsOf(pending, state)) {
        const wrong = problemNow(pending, state, now, loadedAt);
        if (wrong === '') return false;
        pending.problems.push(`at seq ${seq}, ${new Date(now).toISOString()}: ${wrong}`);
      }
      return true;
    });
  }

  /**
   * When it can have been decided, and when everything was loaded for that. Between the two the clocks may have gone on:
   * then the last part of an atomic batch is too late for its not_after, and the parts before it are decided earlier.
   */
  #momentsOf(
    pending: Pending,
    { lastAt }: AccountState,
  ): readonly (readonly [now: number, loadedAt: number])[] {
    const times = this.#observed.timeline
      .timesWithin(pending)
      .map((time) => Math.max(time, lastAt));
    return times.flatMap((now, index) =>
      (pending.together ? times.slice(index) : [now]).map((loadedAt) => [now, loadedAt] as const),
    );
  }

  #list(): Pending[] {
    const { attempts, reads } = this.#observed;
    const spanOf = ({ sent, received, step }: Span & { step: number }) => ({
      sent,
      received,
      step,
      from: this.seqBefore(sent),
      until: this.seqAfter(received),
      problems: [],
    });
    const pending: Pending[] = [];
    for (const attempt of attempts) {
      const { request, outcome } = attempt;
      const isRefusal = outcome.kind === 'refusal' && !AFTER_THE_FACT.has(outcome.reason);
      const isNoEffect = outcome.kind === 'answer' && outcome.answer.entrySeq === 0n;
      if (!isRefusal && !isNoEffect) continue;
      const what = `${request.$case} ${bodyOf(request)} answered with ${textOf(isRefusal ? outcome : (outcome as { answer: Response }).answer)}`;
      pending.push({
        ...spanOf(attempt),
        what,
        sees: 'settled',
        problem: (state, now, loadedAt) => attemptProblem(state, attempt, now, loadedAt),
        ...(attempt.together && { together: attempt.together }),
      });
    }
    for (const read of reads)
      for (const problem of readChecks(read))
        pending.push({
          ...spanOf(read),
          what: `the read ${textOf(read.spec)}`,
          problem,
          sees: SEES[read.spec.read] ?? 'settled',
        });
    return pending;
  }

  /** The newest seq that was acknowledged before an event. */
  seqBefore(event: number): bigint {
    let newest = 0n;
    for (const { received, outcome } of this.#observed.attempts)
      if (received < event && outcome.kind === 'answer') {
        const { entrySeq } = outcome.answer;
        if (entrySeq > newest && !isDecision(entrySeq)) newest = entrySeq;
      }
    return newest;
  }

  /** The last seq that can have been there at an event. */
  seqAfter(event: number): bigint {
    for (const entry of this.#observed.entries) {
      const key = keyOfEntry(entry);
      if (key === '' || isLate(entry)) continue;
      const attempts = this.#byKey.get(key) ?? [];
      if (attempts.length > 0 && attempts.every(({ sent }) => sent > event)) return entry.seq - 1n;
    }
    return BigInt(this.#observed.entries.length);
  }
}

/** A payment comes after its request. */
const isLate = ({ kind, reference, purchaseId }: Entry): boolean =>
  kind === Entry_Kind.PURCHASE && reference === purchaseId;

function problemNow(
  { problem, sees }: Pending,
  state: AccountState,
  now: number,
  loadedAt: number,
): string {
  const stored = sees === 'settled' ? null : problem(state, now, loadedAt);
  if (stored !== null && (sees === 'stored' || stored === '')) return stored;
  const settled = state.copy();
  if (settled.seq > 0n) settle(settled, now);
  return problem(settled, now, loadedAt);
}
