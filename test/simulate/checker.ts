/**
 * Checks one account: the model replays its history in the order of the seqs. Every entry must be one that
 * the model makes, by a request that was sent or by itself; every response must be the model's at that entry;
 * and every refusal and read must be right at some moment between its sending and its answer.
 */
import { Bucket_Kind, type Entry, Entry_Kind, type Move } from '../../src/gen/billing/v1/ledger.ts';
import { decidingOf } from './attempt-problem.ts';
import { differences, textOf } from './compare.ts';
import { Decisions } from './decisions.ts';
import { entryProblem } from './entry-problem.ts';
import { type Claim, claim, payCheckout } from './model/buy.ts';
import { decide } from './model/decide.ts';
import { dueItems, syncTerms } from './model/due.ts';
import { updateLevels } from './model/levels.ts';
import { Refusal } from './model/refusal.ts';
import type { First, Request } from './model/requests.ts';
import { AccountState, SERVICE } from './model/state.ts';
import type { Attempt, Observed } from './observations.ts';
import { attemptTo } from './outcome-problem.ts';
import { PendingChecks } from './pending-checks.ts';
import { checkRequestIds, type MadeByRequest } from './request-ids.ts';
import { bodyOf, isSameBatch, keyOfEntry, keyOfRequest, returnsForUsage } from './request-keys.ts';
import { Violation } from './runner.ts';

/** The account at its end, as the model has it. Throws a Violation. */
export function checkAccount(observed: Observed): AccountState {
  return new Checker(observed).run();
}

class Checker {
  readonly #observed: Observed;
  readonly #state: AccountState;
  readonly #byKey: ReadonlyMap<string, readonly Attempt[]>;
  /** What each request made, by its key; and the key of the newest. */
  readonly #made = new Map<string, MadeByRequest>();
  #newestKey = '';
  readonly #pending: PendingChecks;
  readonly #decisions: Decisions;
  #position = 0;

  constructor(observed: Observed) {
    this.#observed = observed;
    this.#state = new AccountState(observed.accountId);
    this.#byKey = Map.groupBy(observed.attempts, ({ request }) => keyOfRequest(request));
    this.#pending = new PendingChecks(observed, this.#byKey);
    this.#decisions = new Decisions(observed, this.#byKey, this.#pending, this.#made);
  }

  run(): AccountState {
    this.#checkPending();
    while (this.#position < this.#observed.entries.length) {
      this.#nextUnit();
      this.#checkPending();
    }
    if (this.#decisions.problem) this.#fail(this.#decisions.problem);
    const { attempts, entries } = this.#observed;
    const [byKey, made] = [this.#byKey, this.#made];
    checkRequestIds({ attempts, entries, byKey, made, fail: (what) => this.#fail(what) });
    if (this.#pending.problem) this.#fail(this.#pending.problem);
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
    const key = keyOfEntry(entry);
    const attempts = this.#byKey.get(key);
    if (!attempts) this.#fail(`nobody asked for entry ${entryText(entry)}`);
    if (this.#made.has(key)) this.#fail(`entry ${entry.seq} is a second one of ${key}`);
    const bodies = [...new Map(attempts.map(({ request }) => [bodyOf(request), request])).values()];
    const problems: string[] = [];
    for (const request of bodies) {
      const state = this.#state.copy();
      const deciding = decidingOf(entry, now, this.#purchasesOf(entry));
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

  /** The purchases of an import, in the order in which it made them. */
  #purchasesOf({ requestId }: Entry): readonly string[] {
    const own = this.#observed.entries.filter((entry) => entry.requestId === requestId);
    return own.flatMap(({ purchaseId }) => (purchaseId === '' ? [] : [purchaseId]));
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
    const from = this.#state.seq + 1n;
    Object.assign(this.#state, state, { posted: [] });
    this.#position += length;
    this.#made.set(key, { request, seq: entry.seq, from, until: state.seq });
    this.#newestKey = key;
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
    const acknowledged = this.#pending.seqBefore(sent);
    if (entry.seq <= acknowledged)
      this.#fail(`entry ${entry.seq} was asked for after entry ${acknowledged} was acknowledged`);
  }

  #checkPending() {
    this.#pending.check(this.#state, this.#batchGoingOn());
    for (const earlier of this.#decisions.before(this.#state))
      this.#pending.check(earlier, this.#batchGoingOn());
    while (this.#decisions.take(this.#state))
      this.#pending.check(this.#state, this.#batchGoingOn());
  }

  /** The atomic batch that made the entries both before and after the present seq; null if there is none. */
  #batchGoingOn(): readonly Request[] | null {
    if (this.#made.get(this.#newestKey)?.until !== this.#state.seq) return null;
    const next = this.#nextAsked;
    const after = next && this.#byKey.get(keyOfEntry(next));
    for (const { together } of this.#byKey.get(this.#newestKey) ?? [])
      if (together && after?.some((attempt) => isSameBatch(together, attempt.together)))
        return together;
    return null;
  }
}

/** Kinds of entries that a payment at the provider makes, beside PURCHASE. */
const PROVIDER_KINDS: ReadonlySet<Entry_Kind> = new Set([
  Entry_Kind.CLAW_BACK,
  Entry_Kind.REINSTATE,
  Entry_Kind.PAYMENT,
]);

const entryText = (entry: Entry): string => textOf({ ...entry, hash: undefined });

/** The URL of a checkout is the provider's. */
const withoutUrl = (response: object): object =>
  'purchase' in response
    ? { ...response, purchase: { ...(response.purchase as object), checkoutUrl: '' } }
    : response;

/** Whether an entry is of something that is due. */
const isOf = (entry: Entry | undefined, kind: Entry_Kind | null, subject: string): boolean => {
  if (entry?.requestId !== '') return false;
  if (kind === null)
    return entry.kind === Entry_Kind.GRANT || entry.kind === Entry_Kind.GRANT_EXPIRED;
  return (
    entry.kind === kind &&
    (kind === Entry_Kind.EXPIRE ? entry.reservationId : `${entry.grantId}`) === subject
  );
};
