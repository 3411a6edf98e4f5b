/** Request ids: each makes one entry at most, and repeating it gets the first response again. */
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { textOf } from './compare.ts';
import type { Request } from './model/requests.ts';
import type { Attempt, Span } from './observations.ts';
import { bodyOf, isOver, isSameBatch, keyOfRequest } from './request-keys.ts';

export type Checked = {
  readonly attempts: readonly Attempt[];
  readonly entries: readonly Entry[];
  readonly byKey: ReadonlyMap<string, readonly Attempt[]>;
  /** By the request's key. */
  readonly made: ReadonlyMap<string, MadeByRequest>;
  readonly fail: (what: string) => never;
};

/** What a request made: its entry, and the entries before and after that which belong to it. */
export type MadeByRequest = {
  readonly request: Request;
  readonly seq: bigint;
  readonly from: bigint;
  readonly until: bigint;
};

export function checkRequestIds(checked: Checked) {
  new RequestIds(checked).check();
}

class RequestIds {
  readonly #checked: Checked;

  constructor(checked: Checked) {
    this.#checked = checked;
  }

  /** Whether the entries of an atomic batch follow each other, in its order, and none is missing. */
  #tookEffectTogether(together: readonly Request[]): boolean {
    const keys = together.map(keyOfRequest);
    if (keys.some((key) => !this.#checked.made.has(key))) return false;
    const seqs = keys.map((key) => this.#checked.made.get(key)?.seq ?? 0n);
    return this.#followEachOther(seqs, keys);
  }

  /** Whether these seqs ascend, and these requests have made all entries between the first and the last. */
  #followEachOther(seqs: readonly bigint[], keys: readonly string[]): boolean {
    const [first = 0n] = seqs;
    const last = seqs.at(-1) ?? 0n;
    const made = keys.flatMap((key) => this.#checked.made.get(key) ?? []);
    const between = this.#checked.entries.slice(Number(first) - 1, Number(last));
    return (
      seqs.every((seq, index) => index === 0 || seq > (seqs[index - 1] ?? 0n)) &&
      between.every(({ seq }) => made.some(({ from, until }) => seq >= from && seq <= until))
    );
  }

  /**
   * The seq that a part of an atomic batch was answered with; none if it changed nothing. A repetition does not count
   * where others have sent the request as well: it is not remembered without an effect, so it can have had one later.
   */
  #madeTogether(key: string, { sent, received }: Span): readonly bigint[] {
    const attempts = this.#checked.byKey.get(key) ?? [];
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
    const isMade = this.#checked.made.has(key);
    const attempts = this.#checked.byKey.get(key) ?? [];
    const ofBatch = attempts.filter((other) => isSameBatch(together, other.together));
    const kinds = new Set(ofBatch.map((other) => other.outcome.kind));
    if (isMade && ofBatch.length === attempts.length && kinds.size === 1 && kinds.has('refusal'))
      this.#checked.fail(`step ${step}: ${key} took effect in a batch that was refused`);
    const made = keys.flatMap((other) => this.#madeTogether(other, { sent, received }));
    if (outcome.kind === 'answer' && !this.#followEachOther(made, keys))
      this.#checked.fail(
        `step ${step}: the entries ${made} of an atomic batch do not follow each other`,
      );
    if (outcome.kind !== 'refusal') return;
    const isReused = outcome.reason === 'REQUEST_ID_REUSED';
    if (isReused && !isMade) this.#checked.fail(`step ${step}: ${key} was not used before`);
    const isKnown = ofBatch.some((one) => one.outcome.kind === 'answer' && one.received < sent);
    if ((isReused || isKnown) && this.#tookEffectTogether(together))
      this.#checked.fail(`step ${step}: the batch of ${key} took effect, and was refused`);
  }

  /** Every answer with an entry has that entry, and a reused id has an entry of another body. */
  check() {
    for (const attempt of this.#checked.attempts) {
      const { step, request, outcome } = attempt;
      if (attempt.together) this.#checkTogether(attempt);
      const made = this.#checked.made.get(keyOfRequest(request));
      const isSame = made && bodyOf(made.request) === bodyOf(request);
      if (outcome.kind === 'answer' && outcome.answer.entrySeq > 0n && !isSame)
        this.#checked.fail(`step ${step}: an answer without an entry: ${textOf(outcome.answer)}`);
      const isReused = outcome.kind === 'refusal' && outcome.reason === 'REQUEST_ID_REUSED';
      if (isReused && !attempt.together && (!made || isSame))
        this.#checked.fail(`step ${step}: ${keyOfRequest(request)} was not used for another body`);
    }
    for (const { step, request, outcome } of this.#checked.attempts)
      if (isOver(outcome) && !this.#checked.made.has(keyOfRequest(request)))
        this.#checked.fail(`step ${step}: a checkout failed that was never made`);
    for (const [key, attempts] of this.#checked.byKey) this.#checkReplays(key, attempts);
  }

  /** After its response, a request id gets that response again, marked as repeated, or REQUEST_ID_REUSED. */
  #checkReplays(key: string, attempts: readonly Attempt[]) {
    const made = this.#checked.made.get(key);
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
      if (!isRight) this.#checked.fail(`step ${step}: ${key} again: ${textOf(outcome)}`);
    }
    if (fresh > 1) this.#checked.fail(`${key} was answered ${fresh} times as if it were new`);
  }
}
