/** A history as the model makes it, for tests of what the checker accepts of it and what not. */
import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { checkAccount } from './checker.ts';
import { bucketOf } from './entry-problem.ts';
import { expectRead } from './expected-reads.ts';
import { decide } from './model/decide.ts';
import type { Deciding } from './model/deciding.ts';
import { settle } from './model/due.ts';
import type { Request, Response } from './model/requests.ts';
import { type DecidedBatch, decideBatchInShadow } from './model/shadow-batch.ts';
import { AccountState, type ModelEntry } from './model/state.ts';
import { type Attempt, type Outcome, type Read, Timeline } from './observations.ts';
import { CALLER, onBehalfOf } from './replicas.ts';
import { toRequest } from './to-request.ts';
import type { ReadSpec, RequestSpec } from './trace.ts';

const BALANCE: ReadSpec = { read: 'balance', grants: true };

export const OPENED_AT = Date.UTC(2031, 0, 30, 21, 30);
const ACCOUNT = 'account-0';

/** An account as the model has it, with what its callers and readers saw. */
export class History {
  readonly timeline = new Timeline(OPENED_AT);
  readonly attempts: Attempt[] = [];
  readonly reads: Read[] = [];
  readonly entries: Entry[] = [];
  readonly decisions: ShadowDecision[] = [];
  readonly #state = new AccountState(ACCOUNT);

  /** A request that is decided and answered now, or was sent and decided before the clocks went on. */
  request(
    step: number,
    spec: RequestSpec,
    { sent, at }: SentAt = this.sending(),
    requestId = `request-${step}`,
  ): this {
    this.settle(at);
    const made = this.#decide(requestId, spec, at);
    const received = this.timeline.tick();
    this.attempts.push({ step, request: made.request, sent, received, outcome: made.outcome });
    return this;
  }

  /**
   * Two requests of an atomic batch, answered now. `between` happens when only the first has taken effect. `told` is what the
   * caller is told in place of their answers.
   */
  together(
    step: number,
    specs: readonly [RequestSpec, RequestSpec],
    {
      between = () => {},
      told,
    }: { between?: () => void; told?: readonly Outcome<Response>[] } = {},
  ): this {
    const { sent, at } = this.sending();
    this.settle(at);
    const made = specs.map((spec, index) => {
      if (index === 1) between();
      return this.#decide(`request-${step}-${index}`, spec, at);
    });
    const together = made.map(({ request }) => request);
    const received = this.timeline.tick();
    for (const [index, { request, outcome }] of made.entries())
      this.attempts.push({
        ...{ step, request, sent, received, together },
        outcome: told?.[index] ?? outcome,
      });
    return this;
  }

  /** An atomic batch in shadow mode, answered now. */
  shadowBatch(step: number, specs: readonly RequestSpec[]): this {
    const { sent, at } = this.sending();
    const parts = specs.map((spec, index) => {
      const requestId = `request-${step}-${index}`;
      return { request: this.#toRequest(requestId, spec, at), deciding: decidingOf(requestId, at) };
    });
    const made = decideBatchInShadow(this.#state, parts) as DecidedBatch;
    this.#state.shadow = made.state.shadow;
    this.decisions.push(...made.decided.map((one) => ({ ...one, traceId: '' })));
    const together = parts.map(({ request }) => request);
    const received = this.timeline.tick();
    for (const [index, request] of together.entries()) {
      const outcome = { kind: 'answer', answer: made.responses[index] } as Outcome<Response>;
      this.attempts.push({ step, request, sent, received, together, outcome });
    }
    return this;
  }

  #toRequest = (requestId: string, spec: RequestSpec, at: number): Request =>
    toRequest(spec, { accountId: ACCOUNT, requestId }, at, {
      reservationOf: (step) => `job-${step}`,
      seqOf: (step) =>
        [...this.entries, ...this.decisions].find(
          ({ requestId }) => requestId === `request-${step}`,
        )?.seq ?? null,
    }) as Request;

  #decide(requestId: string, spec: RequestSpec, at: number) {
    const request = this.#toRequest(requestId, spec, at);
    const answer = decide(this.#state, request, decidingOf(requestId, at)) as Response;
    this.#write();
    this.decisions.push(...this.#state.decided.map((one) => ({ ...one, traceId: '' })));
    this.#state.decided = [];
    return { request, outcome: { kind: 'answer', answer } as Outcome<Response> };
  }

  sending = (): SentAt => ({ sent: this.timeline.tick(), at: this.timeline.now });

  /** What is due is written by itself. */
  settle(at = this.timeline.now): this {
    if (this.#state.seq > 0n) settle(this.#state, at);
    this.#write();
    return this;
  }

  #write() {
    this.entries.push(...this.#state.posted.map(toEntry));
    this.#state.posted = [];
  }

  /** A read of the balance as it is now, changed by `wrong`. */
  read(wrong: object = {}): this {
    const sent = this.sending();
    return this.answer(sent, BALANCE, { ...this.see(BALANCE), ...wrong });
  }

  /** What a read sees now. */
  see = (spec: ReadSpec): object => expectRead(this.#state, spec, '', this.timeline.now);

  /** A read that was sent before is answered now. */
  answer({ sent }: SentAt, spec: ReadSpec, answer: object): this {
    const received = this.timeline.tick();
    const outcome = { kind: 'answer', answer } as const;
    this.reads.push({ step: 99, accountId: ACCOUNT, spec, subject: '', sent, received, outcome });
    return this;
  }

  advanceTo(now: number): this {
    this.timeline.advanceTo(now);
    return this;
  }

  check = () =>
    checkAccount({
      ...{ accountId: ACCOUNT, attempts: this.attempts, reads: this.reads },
      ...{
        decisions: this.decisions,
        entries: this.entries,
        timeline: this.timeline,
        isPaid: () => false,
      },
    });
}

const decidingOf = (requestId: string, at: number): Deciding => ({
  now: at,
  loadedAt: at,
  author: { caller: CALLER, requestId, onBehalfOf: onBehalfOf(requestId) },
  reservationId: requestId.replace('request', 'job'),
  purchaseId: '',
  importedIds: ['purchase-1', 'purchase-2'],
  takenOfHeld: null,
});

type SentAt = { readonly sent: number; readonly at: number };

const toEntry = ({ moves, details, ...entry }: ModelEntry): Entry => ({
  ...entry,
  ...{ hash: Buffer.alloc(0), traceId: '', spanId: '' },
  details: new Map(details),
  moves: moves.map(({ from, to, grantId, credits }) => ({
    from: bucketOf(from, grantId),
    to: bucketOf(to, grantId),
    credits,
  })),
});
