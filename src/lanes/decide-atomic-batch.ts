/**
 * Decides an atomic batch on a copy of the Book. The copy takes the place of the Book only if every request has
 * succeeded on it, so a refused batch has changed nothing.
 */
import { batchRefused, Failure, type Reason } from '../failure.ts';
import { copyBook } from '../ledger/copy-book.ts';
import type { Trace } from '../ledger/entry.ts';
import { toRefusal } from '../ledger/shadow/decide-in-shadow.ts';
import { nameOfRequest, type Shadow } from '../ledger/shadow/shadow.ts';
import { CACHE_MISS, DEFERRED, decideTask, type Undecided } from './decide-task.ts';
import { type LoadedUnit, requestKey } from './loaded-unit.ts';
import type { AtomicAnswer, AtomicBatch, Request, StoredResponse } from './task.ts';

/** These are not about one of the requests: each is answered with them. */
const OF_THE_WHOLE_BATCH: ReadonlySet<Reason> = new Set(['CANCELLED', 'CLOCK_UNRELIABLE']);

/** Answers a Failure that concerns all requests alike, or each request in its place. */
export function decideAtomicBatch(
  unit: LoadedUnit,
  batch: AtomicBatch,
  trace: Trace,
  at: number,
): AtomicAnswer | Failure | Undecided {
  let trial = new Trial(unit, batch, null);
  let ended = decideAll(trial, trace, at);
  const refusals = ended === null ? trial.refusalsInShadow() : null;
  if (refusals) {
    trial = new Trial(unit, batch, refusals);
    ended = decideAll(trial, trace, at);
  }
  if (ended !== null) return ended;
  trial.apply();
  return trial.answers;
}

/** Null: all requests have succeeded. */
function decideAll(
  trial: Trial,
  trace: Trace,
  at: number,
): AtomicAnswer | Failure | Undecided | null {
  // Those that took effect before are looked at first: whoever may not see them learns nothing of them.
  for (const wanted of [true, false])
    for (const [index, request] of trial.requests.entries()) {
      if (trial.isKnown(request) !== wanted) continue;
      const answer = decideTask(trial.unit, request, trace, at);
      if (answer === DEFERRED || answer === CACHE_MISS) return answer;
      if (answer instanceof Failure) return trial.refused(index, answer);
      trial.answers[index] = answer as StoredResponse;
    }
  return trial.someAreKnown && trial.hasWritten ? trial.usedBefore() : null;
}

/** What the requests of a batch see and change while it is not known whether they take effect. */
class Trial {
  readonly unit: LoadedUnit;
  /** Their calls are told what was decided once it counts. */
  readonly requests: readonly Request[];
  readonly answers: StoredResponse[] = [];
  readonly #real: LoadedUnit;
  readonly #batch: AtomicBatch;
  readonly #known: ReadonlySet<string>;
  readonly #entriesBefore: number;

  /** `refusals`: what shadow mode says of the requests where one of them would have been refused. */
  constructor(real: LoadedUnit, batch: AtomicBatch, refusals: Shadow['batchRefusals']) {
    const { accountId, requests } = batch;
    this.#real = real;
    this.#batch = batch;
    this.requests = requests.map((request) => ({ ...request, call: null }));
    const book = real.books.get(accountId);
    const copy = book && copyBook(book);
    const used = requests.flatMap((request) => {
      const entry = real.requests.get(keyOf(request));
      return entry ? [[keyOf(request), entry] as const] : [];
    });
    this.#known = new Set(used.map(([key]) => key));
    this.#entriesBefore = writtenBy(real, accountId);
    this.unit = {
      ...real,
      books: new Map(copy ? [[accountId, copy]] : []),
      opened: new Set(book && copy && real.opened.has(book) ? [copy] : []),
      requests: new Map(used),
      shadows: copyShadow(real, accountId, refusals),
    };
    // What an earlier attempt has counted would count twice.
    for (const { dayTally } of requests) dayTally?.set(real.now, 0n);
  }

  get hasWritten(): boolean {
    return writtenBy(this.unit, this.#batch.accountId) > this.#entriesBefore;
  }

  get someAreKnown(): boolean {
    return this.#known.size > 0;
  }

  /** Whether its request id was used before this batch. */
  isKnown(request: Request): boolean {
    return this.#known.has(keyOf(request));
  }

  /**
   * What shadow mode says of each request where one of them would have been refused: then all would have been, and they use
   * nothing. Null: none would have been.
   */
  refusalsInShadow(): Shadow['batchRefusals'] {
    const { accountId } = this.#batch;
    const before = this.#real.shadows?.get(accountId)?.decisions.length ?? 0;
    const decisions = this.unit.shadows?.get(accountId)?.decisions.slice(before) ?? [];
    const refused = decisions.find(({ refusal }) => refusal !== null);
    if (!refused?.refusal || !refused.request) return null;
    const names = this.requests.map(({ command, origin }) =>
      nameOfRequest(command.kind, origin.requestId),
    );
    const own = nameOfRequest(refused.request.method, refused.requestId);
    const index = names.indexOf(own);
    const ofOthers = toRefusal(batchRefused(index, refused.refusal));
    const ofOwn = refused.refusal;
    return new Map(names.map((name) => [name, name === own ? ofOwn : ofOthers]));
  }

  /** The request at `index` cannot take effect, so none does. */
  refused(index: number, failure: Failure): AtomicAnswer | Failure {
    if (OF_THE_WHOLE_BATCH.has(failure.reason)) return failure;
    const refused = this.requests[index];
    if (this.someAreKnown && refused && !this.isKnown(refused)) return this.usedBefore();
    this.#tellPlan();
    return this.requests.map((_, other) =>
      other === index ? failure : batchRefused(index, failure),
    );
  }

  /** Some took effect before, by another call, and the others would have to now. */
  usedBefore(): readonly Failure[] {
    this.#tellPlan();
    const first = this.requests.findIndex((request) => this.isKnown(request));
    const refusal = tookEffectBefore(this.requests[first] as Request);
    return this.requests.map((request) =>
      this.isKnown(request) ? tookEffectBefore(request) : batchRefused(first, refusal),
    );
  }

  /** From now on it is part of the unit of work. A repetition changes nothing there. */
  apply() {
    if (!this.someAreKnown) this.#replaceBook();
    this.#tellPlan();
    for (const [index, request] of this.#batch.requests.entries()) {
      const entry = this.unit.requests.get(keyOf(request)) ?? null;
      request.call?.decided(entry, this.answers[index]?.firstAnsweredAt !== null);
    }
  }

  #replaceBook() {
    const { books, opened, requests, shadows } = this.#real;
    const replaced = books.get(this.#batch.accountId);
    if (replaced) opened.delete(replaced);
    for (const [accountId, copy] of this.unit.books) books.set(accountId, copy);
    for (const copy of this.unit.opened) opened.add(copy);
    for (const [key, entry] of this.unit.requests) requests.set(key, entry);
    for (const [accountId, copy] of this.unit.shadows ?? []) {
      copy.batchRefusals = null;
      shadows?.set(accountId, copy);
    }
  }

  #tellPlan() {
    const planId = this.#real.books.get(this.#batch.accountId)?.account.planId ?? '';
    for (const { call } of this.#batch.requests) if (call) call.planId = planId;
  }
}

/** Entries, and decisions of shadow mode. */
const writtenBy = ({ books, shadows }: LoadedUnit, accountId: string): number =>
  (books.get(accountId)?.changes.entries.length ?? 0) +
  (shadows?.get(accountId)?.decisions.length ?? 0);

function copyShadow(
  { shadows }: LoadedUnit,
  accountId: string,
  batchRefusals: Shadow['batchRefusals'],
) {
  const shadow = shadows?.get(accountId);
  return shadow ? new Map([[accountId, Object.assign(shadow.copy(), { batchRefusals })]]) : null;
}

const keyOf = ({ accountId, origin, command }: Request): string =>
  requestKey(accountId, origin.requestId, command.kind);

const tookEffectBefore = ({ accountId, origin: { requestId }, command: { kind } }: Request) =>
  new Failure(
    'REQUEST_ID_REUSED',
    `request id ${requestId} was used before for ${kind}, by a call without all mutations of this atomic Batch`,
    { request_id: requestId, method: kind, account_id: accountId },
  );
