/**
 * Checks one account: the model replays its history in the order of the seqs. Every entry must be one that
 * the model makes, by a request that was sent or by itself; every response must be the model's at that entry;
 * and every refusal and read must be right at some moment between its sending and its answer.
 */
import type {
  EstimateResponse,
  ListEntriesResponse,
} from '../../src/gen/billing/v1/billing_service.ts';
import {
  Bucket_Kind,
  type BucketBalance,
  type Entry,
  Entry_Kind,
  type Move,
} from '../../src/gen/billing/v1/ledger.ts';
import type { PackOffer } from '../../src/gen/billing/v1/pricing.ts';
import { differences, textOf } from './compare.ts';
import { entryProblem } from './entry-problem.ts';
import { compareOffers, expectRead, offersFor, ownFields } from './expected-reads.ts';
import { type Claim, claim, payCheckout } from './model/buy.ts';
import { decide } from './model/decide.ts';
import { dueItems, settle, syncTerms } from './model/due.ts';
import type { EntriesPage } from './model/history.ts';
import { updateLevels } from './model/levels.ts';
import { Refusal } from './model/refusal.ts';
import type { First, Request, Response } from './model/requests.ts';
import type { Deciding } from './model/spend.ts';
import {
  AccountState,
  type Author,
  type ModelEntry,
  mergeParts,
  OVERAGE,
  type Part,
  SERVICE,
} from './model/state.ts';
import { type Attempt, keyOf, type Read, type Span, type Timeline } from './observations.ts';
import { PLANS } from './plans.ts';
import { CALLER, onBehalfOf } from './replicas.ts';
import { Violation } from './runner.ts';
import type { ReadSpec } from './trace.ts';

export type Observed = {
  readonly accountId: string;
  readonly attempts: readonly Attempt[];
  readonly reads: readonly Read[];
  readonly entries: readonly Entry[];
  readonly timeline: Timeline;
  /** Whether the provider has got a payment of the price. */
  readonly isPaid: (purchaseId: string) => boolean;
};

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

/** The account at its end, as the model has it. Throws a Violation. */
export function checkAccount(observed: Observed): AccountState {
  return new Checker(observed).run();
}

/** Entry kinds of mutations, by their method. */
const METHODS: Readonly<Partial<Record<Entry_Kind, Request['$case']>>> = {
  [Entry_Kind.OPEN_ACCOUNT]: 'openAccount',
  [Entry_Kind.UPDATE_ACCOUNT]: 'updateAccount',
  [Entry_Kind.CLOSE_ACCOUNT]: 'closeAccount',
  [Entry_Kind.PLAN_CHANGE]: 'moveAccount',
  [Entry_Kind.GRANT]: 'grantCredits',
  [Entry_Kind.VOID_GRANT]: 'voidGrant',
  [Entry_Kind.UPDATE_GRANT]: 'updateGrant',
  [Entry_Kind.SUSPEND_ACCOUNT]: 'suspendAccount',
  [Entry_Kind.RESUME_ACCOUNT]: 'resumeAccount',
  [Entry_Kind.SET_BUDGET]: 'setBudget',
  [Entry_Kind.REMOVE_BUDGET]: 'removeBudget',
  [Entry_Kind.OFFER_PACK]: 'offerPack',
  [Entry_Kind.WITHDRAW_PACK]: 'withdrawPack',
  [Entry_Kind.PURCHASE]: 'purchase',
  [Entry_Kind.CHECKOUT]: 'purchase',
  [Entry_Kind.RESERVE]: 'reserve',
  [Entry_Kind.RAISE]: 'raiseReservation',
  [Entry_Kind.EXTEND]: 'extendReservation',
  [Entry_Kind.COMMIT]: 'commit',
  [Entry_Kind.RELEASE]: 'release',
  [Entry_Kind.CHARGE]: 'charge',
  [Entry_Kind.REFUND]: 'refund',
};

class Checker {
  readonly #observed: Observed;
  readonly #state: AccountState;
  readonly #byKey: ReadonlyMap<string, readonly Attempt[]>;
  /** The request and the first response of each entry that a request made, by its key. */
  readonly #made = new Map<string, { readonly seq: bigint; readonly request: Request }>();
  #pending: Pending[] = [];
  #position = 0;

  constructor(observed: Observed) {
    this.#observed = observed;
    this.#state = new AccountState(observed.accountId);
    this.#byKey = Map.groupBy(observed.attempts, ({ request }) => keyOfRequest(request));
  }

  run(): AccountState {
    this.#pending = this.#listPending();
    this.#checkPending();
    while (this.#position < this.#observed.entries.length) {
      this.#nextUnit();
      this.#checkPending();
    }
    this.#checkRequestIds();
    const [wrong] = this.#pending;
    if (wrong)
      this.#fail(
        `step ${wrong.step}: ${wrong.what} is right at no seq from ${wrong.from} to ${wrong.until}:\n  ${[...new Set(wrong.problems)].slice(-8).join('\n  ')}`,
      );
    return this.#state;
  }

  #fail(what: string): never {
    throw new Violation(`${this.#observed.accountId}: ${what}`);
  }

  get #next(): Entry | undefined {
    return this.#observed.entries[this.#position];
  }

  /** The next entry that somebody asked for: what returns for late usage comes before it. */
  get #nextAsked(): Entry | undefined {
    const { entries } = this.#observed;
    let position = this.#position;
    while (returnsForUsage(entries[position])) position += 1;
    return entries[position];
  }

  /** What is due by the time of the next entry, or its request. */
  #nextUnit() {
    const entry = this.#next as Entry;
    const now = entry.at?.getTime() ?? 0;
    const state = this.#state;
    if (now < state.lastAt) this.#fail(`entry ${entry.seq} is earlier than the one before it`);
    state.posted = [];
    const { seq } = state;
    if (seq > 0n) this.#settle(now);
    // What is due may be written by itself, before the next request of the same millisecond.
    if (state.seq > seq) this.#checkPending();
    const next = this.#nextAsked;
    if (next?.at?.getTime() === now && this.#isOfProvider(next)) this.#followProvider(next, now);
    else if (next?.at?.getTime() === now && next.requestId !== '') this.#decide(next, now);
    else if (this.#next === entry) this.#fail(`nothing makes entry ${entryText(entry)}`);
  }

  /** Whether it follows from a payment at the provider, and from no request. */
  #isOfProvider({ kind, purchaseId }: Entry): boolean {
    if (kind === Entry_Kind.PURCHASE) return this.#state.orders.has(purchaseId);
    return PROVIDER_KINDS.has(kind);
  }

  #followProvider({ kind, purchaseId }: Entry, now: number) {
    const state = this.#state;
    state.posted = [];
    const followed = attemptTo(() => {
      if (kind === Entry_Kind.CLAW_BACK || kind === Entry_Kind.REINSTATE)
        claim(state, purchaseId, this.#claimOf(kind), now);
      else if (kind === Entry_Kind.PURCHASE) payCheckout(state, purchaseId, now);
      // It says what the provider does, which the check of the purchase compares at the end.
      else state.post(kind, now, { purchaseId, details: null }, SERVICE);
    });
    if (followed instanceof Error)
      this.#fail(`${entryText(this.#next as Entry)}: ${followed.message}`);
    if (kind !== Entry_Kind.PAYMENT && !this.#observed.isPaid(purchaseId))
      this.#fail(`${purchaseId} was granted and not paid`);
    this.#consumePosted('at the payment provider');
    updateLevels(state);
  }

  /** What the next entry says of a claim, with the grant after it. */
  #claimOf(kind: Claim['kind']): Claim {
    const { moves = [] } = this.#next ?? {};
    const isOwed = ({ from, to }: Move) =>
      [from, to].some((bucket) => bucket?.kind === Bucket_Kind.OWED);
    const sumOf = (some: readonly Move[]) => some.reduce((total, move) => total + move.credits, 0n);
    const after = this.#observed.entries[this.#position + 1];
    const isGrantedAgain =
      kind === Entry_Kind.REINSTATE &&
      after?.kind === Entry_Kind.GRANT &&
      after.details.get('source_reference') === '0' &&
      after.requestId === '';
    return {
      kind,
      credits: sumOf(moves.filter((move) => !isOwed(move))),
      owed: sumOf(moves.filter(isOwed)),
      grantedAgain: isGrantedAgain ? after.credits : 0n,
    };
  }

  /** Settles the account, in the order in which the entries say, where the order is free. */
  #settle(now: number) {
    const state = this.#state;
    syncTerms(state, now);
    for (let items = dueItems(state, now); items.length > 0; items = dueItems(state, now)) {
      const soonest = items.filter(({ at }) => at === items[0]?.at);
      const item =
        soonest.find(({ kind, subject }) => isOf(this.#next, kind, subject)) ?? soonest[0];
      state.posted = [];
      item?.apply();
      this.#consumePosted(`due at ${new Date(item?.at ?? 0).toISOString()}: ${item?.name}`);
    }
    updateLevels(state);
  }

  /** Compares what the model has posted with the next entries. */
  #consumePosted(cause: string) {
    for (const expected of this.#state.posted) {
      const entry = this.#next;
      if (!entry) this.#fail(`there is no entry ${expected.seq} (${cause})`);
      const problem = entryProblem(entry, expected);
      if (problem) this.#fail(`entry ${entry.seq} (${cause}): ${problem}`);
      this.#position += 1;
    }
    this.#state.posted = [];
  }

  #decide(entry: Entry, now: number) {
    const method = METHODS[entry.kind];
    const key = method ? keyOf(method, entry.accountId, entry.requestId) : '';
    const attempts = this.#byKey.get(key);
    if (!attempts) this.#fail(`nobody asked for entry ${entryText(entry)}`);
    if (this.#made.has(key)) this.#fail(`entry ${entry.seq} is a second one of ${key}`);
    const bodies = [...new Map(attempts.map(({ request }) => [bodyOf(request), request])).values()];
    const problems: string[] = [];
    for (const request of bodies) {
      const state = this.#state.copy();
      const deciding = decidingOf(entry, now);
      const response = attemptTo(() => decide(state, request, deciding));
      const problem = this.#entryProblem(state, response);
      if (problem) {
        problems.push(`${bodyOf(request)}: ${problem}`);
        continue;
      }
      this.#accept(state, entry, key, request, response as First, now);
      return;
    }
    this.#fail(`entry ${entry.seq} ${entryText(entry)}\n  ${problems.join('\n  ')}`);
  }

  #entryProblem(state: AccountState, response: First | Refusal | Error): string {
    if (response instanceof Error) return `the model says: ${response.message}`;
    if (response instanceof Refusal)
      return `must be refused with ${response.reason} ${textOf(response.metadata)}`;
    if (state.posted.length === 0) return 'makes no entry';
    for (const [index, expected] of state.posted.entries()) {
      const entry = this.#observed.entries[this.#position + index];
      if (!entry) return `there is no entry ${expected.seq}`;
      const problem = entryProblem(entry, expected);
      if (problem) return `entry ${entry.seq}: ${problem}`;
    }
    return '';
  }

  /** The entry is that of the request. Its responses must be the model's. */
  #accept(
    state: AccountState,
    entry: Entry,
    key: string,
    request: Request,
    response: First,
    now: number,
  ) {
    const attempts = this.#byKey.get(key) ?? [];
    const own = attempts.filter((attempt) => bodyOf(attempt.request) === bodyOf(request));
    for (const { step, outcome } of own) {
      // An answer without an effect is not remembered: it is checked apart.
      if (outcome.kind !== 'answer' || outcome.answer.entrySeq === 0n) continue;
      const { replay: _, ...first } = outcome.answer;
      const problem = differences(withoutUrl(first), response);
      if (problem) this.#fail(`step ${step}: the response to ${key}: ${problem}`);
    }
    this.#checkTime(entry, own, now);
    const { length } = state.posted;
    Object.assign(this.#state, state, { posted: [] });
    this.#position += length;
    this.#made.set(key, { seq: entry.seq, request });
  }

  /** An entry is made between the first sending of its request and its response. */
  #checkTime(entry: Entry, attempts: readonly Attempt[], now: number) {
    const sent = Math.min(...attempts.map((attempt) => attempt.sent));
    const answered = attempts.filter(
      ({ outcome }) => outcome.kind === 'answer' && outcome.answer.entrySeq > 0n,
    );
    const received = Math.min(...answered.map((attempt) => attempt.received));
    const times = this.#observed.timeline.timesWithin({ sent, received });
    if (!times.includes(now) && now !== this.#state.lastAt)
      this.#fail(`entry ${entry.seq} is of ${new Date(now).toISOString()}, when nobody asked`);
    const acknowledged = this.#seqBefore(sent);
    if (entry.seq <= acknowledged)
      this.#fail(`entry ${entry.seq} was asked for after entry ${acknowledged} was acknowledged`);
  }

  /** The newest seq that was acknowledged before an event. */
  #seqBefore(event: number): bigint {
    let newest = 0n;
    for (const { received, outcome } of this.#observed.attempts)
      if (received < event && outcome.kind === 'answer') {
        const { entrySeq } = outcome.answer;
        if (entrySeq > newest) newest = entrySeq;
      }
    return newest;
  }

  /** The last seq that can have been there at an event. */
  #seqAfter(event: number): bigint {
    for (const entry of this.#observed.entries) {
      const method = METHODS[entry.kind];
      if (!method || entry.requestId === '' || this.#isLate(entry)) continue;
      const attempts = this.#byKey.get(keyOf(method, entry.accountId, entry.requestId)) ?? [];
      if (attempts.length > 0 && attempts.every(({ sent }) => sent > event)) return entry.seq - 1n;
    }
    return BigInt(this.#observed.entries.length);
  }

  /** A payment comes after its request. */
  #isLate = ({ kind, reference, purchaseId }: Entry): boolean =>
    kind === Entry_Kind.PURCHASE && reference === purchaseId;

  #listPending(): Pending[] {
    const { attempts, reads } = this.#observed;
    const spanOf = ({ sent, received, step }: Span & { step: number }) => ({
      sent,
      received,
      step,
      from: this.#seqBefore(sent),
      until: this.#seqAfter(received),
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

  /** The atomic batch that made the entries both before and after the present seq; null if there is none. */
  #batchGoingOn(): readonly Request[] | null {
    const { entries } = this.#observed;
    const [before, after] = [entries[this.#position - 1], entries[this.#position]].map((entry) =>
      entry ? this.#byKey.get(keyOfEntry(entry)) : undefined,
    );
    for (const { together } of before ?? [])
      if (together && after?.some((attempt) => isSameBatch(together, attempt.together)))
        return together;
    return null;
  }

  /** Whether the entries of an atomic batch follow each other, in its order, and none is missing. */
  #tookEffectTogether(together: readonly Request[]): boolean {
    const keys = together.map(keyOfRequest);
    if (keys.some((key) => !this.#made.has(key))) return false;
    const seqs = keys.map((key) => this.#made.get(key)?.seq ?? 0n);
    return this.#followEachOther(seqs, keys);
  }

  /** Whether these seqs ascend, and all entries between the first and the last are of these requests. */
  #followEachOther(seqs: readonly bigint[], keys: readonly string[]): boolean {
    const [first = 0n] = seqs;
    const last = seqs.at(-1) ?? 0n;
    const between = this.#observed.entries.slice(Number(first) - 1, Number(last));
    return (
      seqs.every((seq, index) => index === 0 || seq > (seqs[index - 1] ?? 0n)) &&
      between.every((entry) => keys.includes(keyOfEntry(entry)))
    );
  }

  /**
   * The seq that a part of an atomic batch was answered with; none if it changed nothing. A repetition does not count
   * where others have sent the request as well: it is not remembered without an effect, so it can have had one later.
   */
  #madeTogether(key: string, { sent, received }: Span): readonly bigint[] {
    const attempts = this.#byKey.get(key) ?? [];
    const one = attempts.find((other) => other.sent === sent && other.received === received);
    if (one?.outcome.kind !== 'answer') return [];
    const { entrySeq, replay } = one.outcome.answer;
    const isOfOthers = attempts.some((other) => !isSameBatch(one.together ?? [], other.together));
    return entrySeq === 0n || (replay && isOfOthers) ? [] : [entrySeq];
  }

  /** What is right of a part of an atomic batch because of the others. */
  #checkTogether({ step, sent, received, request, outcome, together = [] }: Attempt) {
    const key = keyOfRequest(request);
    const keys = together.map(keyOfRequest);
    const isMade = this.#made.has(key);
    const attempts = this.#byKey.get(key) ?? [];
    const ofBatch = attempts.filter((other) => isSameBatch(together, other.together));
    const kinds = new Set(ofBatch.map((other) => other.outcome.kind));
    if (isMade && ofBatch.length === attempts.length && kinds.size === 1 && kinds.has('refusal'))
      this.#fail(`step ${step}: ${key} took effect in a batch that was refused`);
    const made = keys.flatMap((other) => this.#madeTogether(other, { sent, received }));
    if (outcome.kind === 'answer' && !this.#followEachOther(made, keys))
      this.#fail(`step ${step}: the entries ${made} of an atomic batch do not follow each other`);
    if (outcome.kind !== 'refusal') return;
    const isReused = outcome.reason === 'REQUEST_ID_REUSED';
    if (isReused && !isMade) this.#fail(`step ${step}: ${key} was not used before`);
    const isKnown = ofBatch.some((one) => one.outcome.kind === 'answer' && one.received < sent);
    if ((isReused || isKnown) && this.#tookEffectTogether(together))
      this.#fail(`step ${step}: the batch of ${key} took effect, and was refused`);
  }

  /** Drops what is right on the account as it is now. */
  #checkPending() {
    const { seq } = this.#state;
    const within = this.#batchGoingOn();
    this.#pending = this.#pending.filter((pending) => {
      const { from, until } = pending;
      if (seq < from || (within && !isSameBatch(within, pending.together))) return true;
      if (seq > until) {
        // The entries of a unit of work are skipped together.
        if (from <= until) return true;
      }
      for (const [now, loadedAt] of this.#momentsOf(pending)) {
        const wrong = this.#problemNow(pending, now, loadedAt);
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
  #momentsOf(pending: Pending): readonly (readonly [now: number, loadedAt: number])[] {
    const { lastAt } = this.#state;
    const times = this.#observed.timeline
      .timesWithin(pending)
      .map((time) => Math.max(time, lastAt));
    return times.flatMap((now, index) =>
      (pending.together ? times.slice(index) : [now]).map((loadedAt) => [now, loadedAt] as const),
    );
  }

  #problemNow({ problem, sees }: Pending, now: number, loadedAt: number): string {
    const stored = sees === 'settled' ? null : problem(this.#state, now, loadedAt);
    if (stored !== null && (sees === 'stored' || stored === '')) return stored;
    const settled = this.#state.copy();
    if (settled.seq > 0n) settle(settled, now);
    return problem(settled, now, loadedAt);
  }

  /** Every answer with an entry has that entry, and a reused id has an entry of another body. */
  #checkRequestIds() {
    for (const attempt of this.#observed.attempts) {
      const { step, request, outcome } = attempt;
      if (attempt.together) this.#checkTogether(attempt);
      const made = this.#made.get(keyOfRequest(request));
      const isSame = made && bodyOf(made.request) === bodyOf(request);
      if (outcome.kind === 'answer' && outcome.answer.entrySeq > 0n && !isSame)
        this.#fail(`step ${step}: an answer without an entry: ${textOf(outcome.answer)}`);
      const isReused = outcome.kind === 'refusal' && outcome.reason === 'REQUEST_ID_REUSED';
      if (isReused && !attempt.together && (!made || isSame))
        this.#fail(`step ${step}: ${keyOfRequest(request)} was not used for another body`);
    }
    for (const { step, request, outcome } of this.#observed.attempts)
      if (isOver(outcome) && !this.#made.has(keyOfRequest(request)))
        this.#fail(`step ${step}: a checkout failed that was never made`);
    for (const [key, attempts] of this.#byKey) this.#checkReplays(key, attempts);
  }

  /** After its response, a request id gets that response again, marked as repeated, or REQUEST_ID_REUSED. */
  #checkReplays(key: string, attempts: readonly Attempt[]) {
    const made = this.#made.get(key);
    if (!made) return;
    const firsts = attempts.filter(
      ({ outcome }) => outcome.kind === 'answer' && outcome.answer.entrySeq > 0n,
    );
    const known = Math.min(...firsts.map(({ received }) => received));
    const body = bodyOf(made.request);
    let fresh = 0;
    for (const { step, sent, request, outcome, together } of attempts) {
      const isSame = bodyOf(request) === body;
      if (outcome.kind === 'answer' && outcome.answer.entrySeq > 0n && !outcome.answer.replay)
        fresh += 1;
      if (sent < known || outcome.kind === 'unknown') continue;
      // Of an atomic batch that was refused it says whether others took effect: see #checkTogether.
      if (together && outcome.kind === 'refusal') continue;
      const isRight = isSame
        ? isOver(outcome) || (outcome.kind === 'answer' && outcome.answer.replay !== undefined)
        : outcome.kind === 'refusal' && outcome.reason === 'REQUEST_ID_REUSED';
      if (!isRight) this.#fail(`step ${step}: ${key} again: ${textOf(outcome)}`);
    }
    if (fresh > 1) this.#fail(`${key} was answered ${fresh} times as if it were new`);
  }
}

const returnsForUsage = (entry: Entry | undefined): boolean =>
  entry?.kind === Entry_Kind.REINSTATE && entry.usedAt !== undefined;

/** Refusals of requests that had been decided: checked by their request id. */
/** Kinds of entries that a payment at the provider makes, beside PURCHASE. */
const PROVIDER_KINDS: ReadonlySet<Entry_Kind> = new Set([
  Entry_Kind.CLAW_BACK,
  Entry_Kind.REINSTATE,
  Entry_Kind.PAYMENT,
]);

const AFTER_THE_FACT = new Set(['REQUEST_ID_REUSED', 'CHECKOUT_FAILED', 'BATCH_REFUSED']);

/** A purchase by checkout that got no session for 23 hours is over. Its request had made it. */
const isOver = (outcome: Attempt['outcome']): boolean =>
  outcome.kind === 'refusal' && outcome.reason === 'CHECKOUT_FAILED';

const keyOfRequest = ({ $case, value }: Request): string =>
  keyOf($case, value.accountId, value.requestId);

const keyOfEntry = ({ kind, accountId, requestId }: Entry): string => {
  const method = METHODS[kind];
  return method && requestId !== '' ? keyOf(method, accountId, requestId) : '';
};

/** Whether it is the same atomic batch, which may have been sent several times. */
const isSameBatch = (batch: readonly Request[], other: readonly Request[] | undefined): boolean =>
  other !== undefined && batch.every((request, index) => request === other[index]);

const entryText = (entry: Entry): string => textOf({ ...entry, hash: undefined });

/** A request without what is not part of its content. */
const bodies = new WeakMap<Request, string>();
function bodyOf(request: Request): string {
  const known = bodies.get(request);
  if (known !== undefined) return known;
  const body = textOf({ ...request.value, notAfter: undefined });
  bodies.set(request, body);
  return body;
}

/** The URL of a checkout is the provider's. */
const withoutUrl = (response: object): object =>
  'purchase' in response
    ? { ...response, purchase: { ...(response.purchase as object), checkoutUrl: '' } }
    : response;

function attemptTo<Result>(work: () => Result): Result | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}

const authorOf = ({ requestId }: { readonly requestId: string }): Author => ({
  caller: CALLER,
  requestId,
  onBehalfOf: onBehalfOf(requestId),
});

const decidingOf = (entry: Entry, now: number): Deciding => ({
  now,
  loadedAt: now,
  author: authorOf(entry),
  reservationId: entry.reservationId,
  purchaseId: entry.purchaseId,
  takenOfHeld: takenOfHeld(entry),
});

/** What an entry took out of reserved buckets: also held overage that grants pay in place of. */
const takenOfHeld = ({ moves }: Entry): readonly Part[] =>
  mergeParts(
    moves.flatMap(({ from, credits }) => {
      if (from?.kind === Bucket_Kind.GRANT_RESERVED) return [{ grantId: from.grantId, credits }];
      return from?.kind === Bucket_Kind.OVERAGE_RESERVED ? [{ grantId: OVERAGE, credits }] : [];
    }),
  );

const isOf = (entry: Entry | undefined, kind: Entry_Kind | null, subject: string): boolean => {
  if (entry?.requestId !== '') return false;
  if (kind === null)
    return entry.kind === Entry_Kind.GRANT || entry.kind === Entry_Kind.GRANT_EXPIRED;
  return (
    entry.kind === kind &&
    (kind === Entry_Kind.EXPIRE ? entry.reservationId : `${entry.grantId}`) === subject
  );
};

function attemptProblem(
  state: AccountState,
  attempt: Attempt,
  now: number,
  loadedAt: number,
): string {
  const { request, outcome } = attempt;
  const trying = (one: Request, id: string) => tryingOf(one, { now, loadedAt }, id);
  if (outcome.kind === 'refusal')
    for (const [index, before] of requestsBefore(attempt).entries()) {
      const made = attemptTo(() => decide(state, before, trying(before, `trial-${index}`)));
      if (made instanceof Error) return `the model says: ${made.message}`;
      // Fields are looked at before the account is.
      if (made instanceof Refusal && outcome.reason !== 'INVALID_FIELD')
        return `${bodyOf(before)} must be refused with ${made.reason}`;
    }
  const expected = attemptTo(() => decide(state, request, trying(request, '')));
  return outcomeProblem(outcome, expected);
}

/** The requests of an atomic batch that are decided before this one. */
const requestsBefore = ({ request, together = [request] }: Attempt): readonly Request[] =>
  together.slice(0, together.indexOf(request));

/** What is decided to see what would come of it: an id of what it makes is not known. */
const tryingOf = (
  { value }: Request,
  moment: Pick<Deciding, 'now' | 'loadedAt'>,
  id: string,
): Deciding => ({
  ...moment,
  author: authorOf(value),
  reservationId: id,
  purchaseId: id,
  takenOfHeld: null,
});

/**
 * What must be right of a read at some moment: all of it. A list is read piece by piece, so each of its items
 * must be right at a moment of its own. A grant that is made while grants are listed is listed as it is stored.
 */
function readChecks({ spec, subject, outcome }: Read): readonly Pending['problem'][] {
  const expectedOn = (state: AccountState, now: number) =>
    attemptTo(() => expectRead(state, spec, subject, now));
  if (outcome.kind !== 'answer')
    return [(state, now) => outcomeProblem(outcome, expectedOn(state, now))];
  const { answer } = outcome;
  if (spec.read === 'past balance')
    return [
      (state, now) => answerProblem(othersSorted(answer), othersSorted(expectedOn(state, now))),
    ];
  if (spec.read === 'entries')
    return [(state, now) => pageProblem(answer as ListEntriesResponse, expectedOn(state, now))];
  if ('shortfall' in answer) return estimateChecks(answer as EstimateResponse, expectedOn);
  const items = listOf(answer);
  if ('purchase' in answer)
    return [
      (state, now) => {
        const expected = expectedOn(state, now);
        const purchase = 'purchase' in expected ? (expected.purchase as object) : null;
        return purchase
          ? differences(ownFields(answer.purchase as object), ownFields(purchase))
          : answerProblem(answer, expected);
      },
    ];
  if (!items) return [(state, now) => answerProblem(answer, expectedOn(state, now))];
  return items.map((item) => (state, now) => {
    const same = listOf(expectedOn(state, now))?.find((other) => idOf(other) === idOf(item));
    return same
      ? differences(ownFields(item), ownFields(same))
      : `${idOf(item)} must not be listed`;
  });
}

/** A past balance with the buckets that are of no grant in one order, which the contract leaves open. */
function othersSorted<Answer extends object>(answer: Answer): Answer {
  if (!('buckets' in answer)) return answer;
  const buckets = answer.buckets as readonly BucketBalance[];
  const kindOf = ({ bucket }: BucketBalance) => bucket?.kind ?? 0;
  const isOfGrant = ({ bucket }: BucketBalance) => bucket?.grantId !== 0n;
  const others = buckets.filter((one) => !isOfGrant(one));
  const sorted = others.toSorted((a, b) => kindOf(a) - kindOf(b));
  return { ...answer, buckets: [...buckets.filter(isOfGrant), ...sorted] };
}

/** A page of entries, as the model has them; whether there are more. */
function pageProblem(
  { entries, nextPageToken }: ListEntriesResponse,
  expected: object | Refusal | Error,
): string {
  if (!('entries' in expected)) return answerProblem({ entries }, expected);
  const { entries: own, isLast } = expected as EntriesPage;
  const seqs = (some: readonly { readonly seq: bigint }[]) => some.map(({ seq }) => seq);
  const problem = differences(
    { seqs: seqs(entries), isLast: nextPageToken === '' },
    { seqs: seqs(own), isLast },
  );
  if (problem) return problem;
  return entries.map((entry, index) => entryProblem(entry, own[index] as ModelEntry)).join('');
}

/** An account's own packs are read after everything else of an estimate, so they may be of a later moment. */
function estimateChecks(
  answer: EstimateResponse,
  expectedOn: (state: AccountState, now: number) => object,
): readonly Pending['problem'][] {
  const { packs, shortfall } = answer;
  const own = packs.filter((offer) => !isOfPlan(offer));
  const sorted = packs.toSorted(compareOffers);
  return [
    (state, now) => {
      const expected = expectedOn(state, now);
      const ofPlan = 'packs' in expected && (expected.packs as PackOffer[]).filter(isOfPlan);
      return answerProblem(
        { ...answer, packs: packs.filter(isOfPlan) },
        ofPlan ? { ...expected, packs: ofPlan } : expected,
      );
    },
    (state) => {
      if (state.seq === 0n) return 'the account does not exist yet';
      const expected = offersFor(state, shortfall).filter((offer) => !isOfPlan(offer));
      return answerProblem({ packs: own }, { packs: expected });
    },
    () => answerProblem({ packs }, { packs: sorted }),
  ];
}

/** Whether a plan sells it. No pack that is offered to a single account has the name of one of these. */
const isOfPlan = ({ pack }: Pick<PackOffer, 'pack'>): boolean =>
  PLANS.some(({ packs }) => packs.some(({ packId }) => packId === pack?.packId));

/** The items of a list of grants, reservations, purchases or packs; null for other messages. */
function listOf(message: object): readonly object[] | null {
  // Budgets are read at one moment.
  if ('uses' in message) return null;
  if ('nextPageToken' in message || 'packs' in message)
    for (const value of Object.values(message)) if (Array.isArray(value)) return value;
  return null;
}

const idOf = (item: object): string => {
  const { grantId, reservationId, purchaseId, pack } = item as Record<string, unknown>;
  return String(reservationId ?? purchaseId ?? grantId ?? (pack as { packId: string }).packId);
};

function answerProblem(answer: object, expected: object | Refusal | Error): string {
  if (expected instanceof Error) return `the model says: ${expected.message}`;
  if (expected instanceof Refusal) return `must be refused with ${expected.reason}`;
  return differences(answer, expected);
}

function outcomeProblem(
  outcome: Attempt['outcome'] | Read['outcome'],
  expected: object | Refusal | Error,
): string {
  if (outcome.kind === 'answer')
    return answerProblem({ ...outcome.answer, replay: undefined }, expected);
  if (expected instanceof Error) return `the model says: ${expected.message}`;
  if (outcome.kind === 'unknown') return '';
  if (!(expected instanceof Refusal)) return `was refused with ${outcome.reason}, must be accepted`;
  if (expected.reason !== outcome.reason)
    return `was refused with ${outcome.reason}, must be ${expected.reason}`;
  for (const [name, value] of Object.entries(expected.metadata))
    if (outcome.metadata[name] !== value)
      return `${name} is ${outcome.metadata[name]}, must be ${value}`;
  return '';
}
