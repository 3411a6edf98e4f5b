/** Runs a trace against replicas, and records what the callers see. */
import { Metadata, status } from '@grpc/grpc-js';
import { type Scrip, type ScripCallOptions, ScripError } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import type { Webhook } from '../payments/stripe-fake.ts';
import { periodAt } from './model/calendar.ts';
import type { Request, Response } from './model/requests.ts';
import type { Attempt, Outcome, Read, Timeline } from './observations.ts';
import { deliver, type Provider } from './provider.ts';
import { readNow } from './read-now.ts';
import { onBehalfOf, pause, type Replicas } from './replicas.ts';
import { toRequest } from './to-request.ts';
import type { Delivery, ReadSpec, RequestSpec, Step, Trace } from './trace.ts';

/** Attempts of one request, 10 ms apart: much longer than a restart. */
const ATTEMPTS_MAX = 2_000;

/** What is wrong, in words. */
export class Violation extends Error {}

type Sent = { readonly request: Request; readonly answer: Response | null };

export class Runner {
  readonly attempts: Attempt[] = [];
  readonly reads: Read[] = [];
  readonly timeline: Timeline;
  readonly #trace: Trace;
  readonly #replicas: Replicas;
  readonly #provider: Provider;
  /** The steps' results, by the number of the step. */
  readonly #results = new Map<number, Promise<Sent | null>>();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #violations: Violation[] = [];

  constructor(trace: Trace, replicas: Replicas, provider: Provider, timeline: Timeline) {
    this.#trace = trace;
    this.#replicas = replicas;
    this.#provider = provider;
    this.timeline = timeline;
  }

  /** Runs all steps, then asks again for every outcome that is not known. */
  async run(): Promise<void> {
    for (const step of this.#trace.steps) {
      while (this.#inFlight.size >= this.#trace.width) await Promise.race(this.#inFlight);
      await this.#start(step);
      if (this.#violations[0]) break;
    }
    await Promise.all(this.#inFlight);
    if (this.#violations[0]) throw this.#violations[0];
    await this.#resolveUnknown();
    await this.#tellPayments();
  }

  get accountIds(): readonly string[] {
    return [...new Set(this.attempts.map(({ request }) => request.value.accountId))];
  }

  accountId = (account: number): string => `account-${account}`;

  /** Starts a step, and waits for it if it is one that changes the world around the calls. */
  async #start(step: Step): Promise<void> {
    switch (step.kind) {
      case 'request':
      case 'repeat': {
        const result = this.#sendStep(step);
        this.#results.set(step.id, result);
        return this.#track(result);
      }
      case 'batch':
        return this.#track(this.#batch(step));
      case 'atomic':
        return this.#track(this.#atomic(step));
      case 'read':
        return this.#track(this.#read(step));
      case 'sweep':
        return this.#track(this.#sweep(step.replica));
      case 'check':
        return this.#track(this.#checkPurchases(step.replica));
      case 'payment':
        return this.#track(this.#pay(step));
      case 'kill':
        return this.#track(this.#replicas.kill(step.replica));
      case 'advance':
        return await this.#advance(this.timeline.now + step.ms, step.calm);
      case 'turn': {
        const { now } = this.timeline;
        const { until } = periodAt([{ zone: step.zone ?? 'UTC', at: 0 }], step.to, now);
        return await this.#advance(until + step.ms, false);
      }
      case 'reach': {
        const sent = await this.#results.get(step.of);
        const answer = sent?.answer;
        const expiresAt = answer && 'reservation' in answer && answer.reservation?.expiresAt;
        if (expiresAt) await this.#advance(expiresAt.getTime() + step.ms, step.calm);
        return;
      }
    }
  }

  async #advance(now: number, calm: boolean) {
    if (calm) await Promise.all(this.#inFlight);
    this.timeline.advanceTo(now);
  }

  #track(work: Promise<unknown>) {
    const tracked = work
      .catch((error: unknown) => {
        this.#violations.push(
          error instanceof Violation ? error : new Violation(String((error as Error)?.stack)),
        );
      })
      .finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  /** A sweep of a replica that is cut off does nothing. */
  async #sweep(index: number) {
    const { service } = await this.#replicas.at(index);
    await service.sweep().catch(() => {});
  }

  async #checkPurchases(index: number) {
    const { service } = await this.#replicas.at(index);
    await service.checkPurchases().catch(() => {});
  }

  async #pay({ of, deed, replica, webhooks }: Extract<Step, { kind: 'payment' }>) {
    const sent = await this.#results.get(of);
    const purchaseId = sent?.answer ? subjectOf(sent.answer) : '';
    if (purchaseId === '' || !sent) return;
    // What concerns a payment happens after its purchase has shown it.
    if (AFTER_PAYMENT.has(deed)) {
      const { accountId } = sent.request.value;
      const { outcome } = await this.#attempt(
        ({ billing }) => billing.getPurchase({ accountId, purchaseId }),
        replica,
        {},
      );
      if (outcome.kind !== 'answer' || outcome.answer.purchase?.grantId === 0n) return;
    }
    const webhook = this.#provider.act(purchaseId, deed);
    if (!webhook) return;
    const deliveries = Array.from({ length: webhooks }, (_, number) =>
      this.#deliver(webhook, replica + number),
    );
    await Promise.all(deliveries);
  }

  /** A replica that is cut off cannot process it. */
  async #deliver(webhook: Webhook, index: number) {
    const { service } = await this.#replicas.at(index);
    await deliver(service.webhookPort, webhook).catch(() => 0);
  }

  /** Tells of every payment again, so that every purchase is in step with it. */
  async #tellPayments() {
    for (const { outcome } of this.attempts) {
      const purchaseId = outcome.kind === 'answer' ? purchaseOf(outcome.answer) : '';
      const webhook = purchaseId === '' ? null : this.#provider.tell(purchaseId);
      if (!webhook) continue;
      const { service } = await this.#replicas.at(0);
      const status = await deliver(service.webhookPort, webhook);
      if (status !== 200) throw new Violation(`a webhook was answered with ${status}`);
    }
  }

  async #sendStep(step: Extract<Step, { kind: 'request' | 'repeat' }>): Promise<Sent | null> {
    const request = await this.#requestOf(step);
    if (!request) return null;
    const { also } = step.delivery;
    const [answer] = await Promise.all([
      this.#untilKnown(step.id, request, step.delivery),
      also === undefined ? null : this.#untilKnown(step.id, request, { replica: also }),
    ]);
    return { request, answer };
  }

  async #requestOf(step: Extract<Step, { kind: 'request' | 'repeat' }>): Promise<Request | null> {
    if (step.kind === 'request') return await this.#toRequest(step.id, step.account, step.request);
    const before = await this.#results.get(step.of);
    if (!before) return null;
    if (!step.other) return before.request;
    const { accountId, requestId } = before.request.value;
    return await this.#make(step.other, accountId, requestId);
  }

  #toRequest(step: number, account: number, spec: RequestSpec): Promise<Request | null> {
    return this.#make(spec, this.accountId(account), `request-${step}`);
  }

  async #make(spec: RequestSpec, accountId: string, requestId: string): Promise<Request | null> {
    const of = 'of' in spec ? await this.#results.get(spec.of) : null;
    const answer = of?.answer;
    return toRequest(spec, { accountId, requestId }, this.timeline.now, {
      reservationOf: () =>
        answer && 'reservation' in answer ? (answer.reservation?.reservationId ?? null) : null,
      seqOf: () => answer?.entrySeq || null,
    });
  }

  /** Sends a request until its outcome is known. Null: it was refused. */
  async #untilKnown(step: number, request: Request, delivery: Delivery): Promise<Response | null> {
    const send = (scrip: Scrip, options: ScripCallOptions) => call(scrip, request, options);
    const metadata = metadataOf(request);
    for (let number = 0; number < ATTEMPTS_MAX; number++) {
      const options =
        number === 0 && delivery.deadlineMs !== undefined
          ? { metadata, deadline: Date.now() + delivery.deadlineMs }
          : { metadata };
      const { span, outcome } = await this.#attempt(send, delivery.replica + number, options);
      this.attempts.push({ step, request, outcome, ...span });
      if (outcome.kind === 'answer') return outcome.answer;
      if (outcome.kind === 'refusal') return null;
      if (number > 0) await pause(10);
    }
    throw new Violation(`step ${step}: the request was never decided`);
  }

  async #attempt<Answer>(
    send: (scrip: Scrip, options: ScripCallOptions) => Promise<Answer>,
    replica: number,
    options: ScripCallOptions,
  ) {
    const { scrip } = await this.#replicas.at(replica);
    const sent = this.timeline.tick();
    const outcome = await outcomeOf(send(scrip, options));
    return { span: { sent, received: this.timeline.tick() }, outcome };
  }

  async #batch({ id, items, delivery }: Extract<Step, { kind: 'batch' }>): Promise<void> {
    const requests: Request[] = [];
    for (const [index, { account, request }] of items.entries()) {
      const made = await this.#make(request, this.accountId(account), `request-${id}-${index}`);
      if (made) requests.push(made);
    }
    await this.#batchUntilKnown(id, requests, delivery, false);
  }

  async #atomic(step: Extract<Step, { kind: 'atomic' }>): Promise<void> {
    const { id, account, again, delivery } = step;
    const before = again && (await this.#results.get(again.of));
    const requests: Request[] = [];
    for (const [index, spec] of step.requests.entries()) {
      const made = await this.#make(spec, this.accountId(account), `request-${id}-${index}`);
      if (made) requests.push(made);
    }
    if (again && before) requests.splice(again.place, 0, before.request);
    const { also } = delivery;
    await Promise.all([
      this.#batchUntilKnown(id, requests, delivery, true),
      also === undefined ? null : this.#batchUntilKnown(id, requests, { replica: also }, true),
    ]);
  }

  /** Sends a batch until the outcome of every request is known. */
  async #batchUntilKnown(
    step: number,
    requests: readonly Request[],
    delivery: Delivery,
    atomic: boolean,
  ): Promise<void> {
    const [first] = requests;
    if (!first) return;
    const metadata = metadataOf(first);
    const mutations = requests.map((mutation) => ({ mutation })) as Parameters<
      Scrip['billing']['batch']
    >[0]['mutations'];
    for (let number = 0; number < ATTEMPTS_MAX; number++) {
      const options =
        number === 0 && delivery.deadlineMs !== undefined
          ? { metadata, deadline: Date.now() + delivery.deadlineMs }
          : { metadata };
      const { span, outcome } = await this.#attempt(
        (scrip, options) => scrip.billing.batch({ mutations: mutations ?? [], atomic }, options),
        delivery.replica + number,
        options,
      );
      const results = outcome.kind === 'answer' ? outcome.answer.results : [];
      const outcomes = requests.map((_, index) =>
        outcome.kind === 'answer' ? resultOf(results[index]) : outcome,
      );
      if (atomic) checkTogether(step, outcomes);
      for (const [index, request] of requests.entries())
        this.attempts.push({
          ...{ step, request, outcome: outcomes[index]!, ...span },
          ...(atomic && { together: requests }),
        });
      if (outcomes.every(({ kind }) => kind !== 'unknown')) return;
      if (number > 0) await pause(10);
    }
    throw new Violation(`step ${step}: the batch was never answered`);
  }

  async #read(step: Extract<Step, { kind: 'read' }>): Promise<void> {
    const { read: spec } = step;
    const of = 'of' in spec ? await this.#results.get(spec.of) : null;
    const subject = of?.answer ? subjectOf(of.answer) : this.#instantOf(spec);
    if ('of' in spec && subject === '') return;
    const accountId = this.accountId(step.account);
    for (let number = 0; number < ATTEMPTS_MAX; number++) {
      const { span, outcome } = await this.#attempt<object>(
        (scrip) => readNow(scrip, spec, accountId, subject),
        step.delivery.replica + number,
        {},
      );
      if (outcome.kind !== 'unknown') {
        this.reads.push({ step: step.id, accountId, spec, subject, outcome, ...span });
        return;
      }
      await pause(10);
    }
    throw new Violation(`step ${step.id}: the read was never answered`);
  }

  #instantOf(spec: ReadSpec): string {
    if (spec.read === 'import') return `${this.timeline.now}`;
    if (spec.read !== 'past balance' || !('agoMs' in spec.point)) return '';
    return `${this.timeline.now - spec.point.agoMs}`;
  }

  /**
   * An attempt whose outcome is unknown may still have had an effect after a later one was refused. Every
   * such request is repeated once more, when nothing is in flight.
   */
  async #resolveUnknown(): Promise<void> {
    const uncertain = new Map(
      this.attempts
        .filter(({ outcome }) => outcome.kind === 'unknown')
        .map(({ step, request, together }) => [together ?? request, step]),
    );
    for (const [sent, step] of uncertain)
      if ('value' in sent) await this.#untilKnown(step, sent, { replica: step });
      else await this.#batchUntilKnown(step, sent, { replica: step }, true);
  }
}

/** The outcomes of an atomic batch are all answers, all refusals, or all unknown; and BATCH_REFUSED names a refusal. */
function checkTogether(step: number, outcomes: readonly Outcome<Response>[]) {
  const kinds = new Set(outcomes.map(({ kind }) => kind));
  if (kinds.size > 1) throw new Violation(`step ${step}: a part of a batch is ${[...kinds]}`);
  for (const outcome of outcomes) {
    if (outcome.kind !== 'refusal' || outcome.reason !== 'BATCH_REFUSED') continue;
    const { index, refusal } = outcome.metadata;
    const named = outcomes[Number(index)];
    if (named?.kind !== 'refusal' || named.reason !== refusal)
      throw new Violation(`step ${step}: mutation ${index} was not refused with ${refusal}`);
  }
}

/** The mutations of a batch have the same, because their request ids name the same step. */
function metadataOf({ value: { requestId } }: Request): Metadata {
  const metadata = new Metadata();
  const name = onBehalfOf(requestId);
  if (name !== '') metadata.set('x-on-behalf-of', name);
  return metadata;
}

const AFTER_PAYMENT: ReadonlySet<string> = new Set(['refund', 'dispute', 'win', 'lose']);

const purchaseOf = (answer: Response): string =>
  'purchase' in answer ? (answer.purchase?.purchaseId ?? '') : '';

function subjectOf(answer: Response): string {
  if ('reservation' in answer) return answer.reservation?.reservationId ?? '';
  return 'purchase' in answer ? (answer.purchase?.purchaseId ?? '') : '';
}

/** Codes after which a caller does not know what happened. */
const UNKNOWN = new Set<number>([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.RESOURCE_EXHAUSTED,
]);

async function outcomeOf<Answer>(call: Promise<Answer>): Promise<Outcome<Answer>> {
  try {
    return { kind: 'answer', answer: await call };
  } catch (error) {
    if (!(error instanceof ScripError)) throw error;
    return refusalOf(error);
  }
}

function refusalOf({
  code,
  reason,
  metadata,
  message,
}: Pick<ScripError, 'code' | 'reason' | 'metadata' | 'message'>): Outcome<never> {
  if (UNKNOWN.has(code)) return { kind: 'unknown' };
  if (code === status.INTERNAL) {
    // A connection that is cut while a message arrives.
    if (reason === '') return { kind: 'unknown' };
    throw new Violation(`INTERNAL: ${message}`);
  }
  return { kind: 'refusal', reason, metadata };
}

function resultOf(result: MutationResult | undefined): Outcome<Response> {
  const given = result?.result;
  if (!given) throw new Violation('a batch has a result that says nothing');
  if (given.$case !== 'error') return { kind: 'answer', answer: given.value };
  const { code, reason, metadata, message } = given.value;
  return refusalOf({ code, reason, metadata: Object.fromEntries(metadata), message });
}

function call(scrip: Scrip, request: Request, options: ScripCallOptions): Promise<Response> {
  const { $case, value } = request;
  if ($case in scrip.accounts) {
    const method = scrip.accounts[$case as keyof Scrip['accounts']];
    return method(value as never, options) as Promise<Response>;
  }
  const method = scrip.billing[$case as 'charge'];
  return method(value as never, options) as Promise<Response>;
}
