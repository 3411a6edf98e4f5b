/**
 * The mutations that can share a Batch. The first is sent at once. Those made while it is in flight wait for
 * it to return, and then go together. Nothing waits for a timer, so a single mutation is as fast as ever.
 */
import type { Attempt, AttemptOptions } from '../attempt.ts';
import { toScripError } from '../errors.ts';
import type { MutationResult } from '../gen/billing/v1/billing_service.ts';
import { isBatchRefused, isOfEveryMutation } from './batch-errors.ts';
import type { BatchedMutation, BatchedResponse } from './batched-mutation.ts';
import { BATCH } from './encode.ts';
import { Entry } from './entry.ts';
import { Flights } from './flights.ts';
import { Waiting } from './waiting.ts';
import { fits, SHARED_MAX } from './weight.ts';

/** A call that is in flight for longer keeps others waiting no more. */
const SLOW_MS = 1_000;
/** Batches that are sent at the same time, where more wait than one can carry. */
const BATCHES_MAX = 4;
/** Mutations that are sent alone at the same time, where a Batch was refused. */
const ALONE_MAX = 32;

export class Lane {
  readonly #attempt: Attempt;
  readonly #metadata: AttemptOptions['metadata'];
  readonly #waiting = new Waiting<Entry>();
  readonly #flights = new Flights(SLOW_MS, () => this.#sendWaiting());
  /** The service takes no Batch of this caller. */
  #isRefused = false;

  constructor(attempt: Attempt, metadata: AttemptOptions['metadata']) {
    this.#attempt = attempt;
    this.#metadata = metadata;
  }

  get isIdle(): boolean {
    return !this.#flights.isBusy && this.#waiting.size === 0;
  }

  send(mutation: BatchedMutation): Promise<BatchedResponse> {
    if (this.#isRefused) return mutation.sendAlone();
    if (!this.#flights.isBusy && this.#waiting.size === 0) return this.#sendFirst(mutation);
    const entry = new Entry(mutation);
    if (!fits(entry.weight, SHARED_MAX)) return mutation.sendAlone();
    this.#waiting.add(entry);
    entry.onAbandoned = () => this.#waiting.remove(entry);
    entry.watch();
    return entry.response;
  }

  #sendFirst(mutation: BatchedMutation): Promise<BatchedResponse> {
    const end = this.#flights.begin();
    // Those who are answered together are likely to call again together: they are waited for.
    const landed = () => void (this.#waiting.size === 0 ? end() : setImmediate(end));
    const response = mutation.sendAlone();
    response.then(landed, landed);
    return response;
  }

  #sendWaiting() {
    for (let batches = 0; batches < BATCHES_MAX && this.#waiting.size > 0; batches++) {
      const entries = this.#waiting.take();
      const end = this.#flights.begin();
      void this.#sendTogether(entries).finally(() => setImmediate(end));
    }
  }

  /** Resolves when every entry has ended. */
  async #sendTogether(entries: readonly Entry[]): Promise<void> {
    const [first] = entries;
    if (first && entries.length === 1) return await sendAlone(first);
    try {
      const { results } = await this.#sendBatch(entries);
      for (const [index, entry] of entries.entries()) settle(entry, results[index]);
    } catch (error) {
      this.#isRefused ||= isBatchRefused(error);
      if (isOfEveryMutation(error)) for (const entry of entries) entry.reject(error);
      else await sendEachAlone(entries);
    }
  }

  #sendBatch(entries: readonly Entry[]) {
    const controller = new AbortController();
    let waitedFor = entries.length;
    for (const entry of entries) {
      entry.isSent = true;
      entry.onAbandoned = () => {
        waitedFor -= 1;
        if (waitedFor === 0) controller.abort();
      };
    }
    const encoded = entries.map((entry) => entry.encoded);
    return this.#attempt(BATCH, encoded, {
      deadline: Math.max(...entries.map(({ mutation }) => mutation.options.deadline)),
      signal: controller.signal,
      metadata: this.#metadata,
      traceparent: undefined,
    });
  }
}

function settle(entry: Entry, { result }: MutationResult = { result: undefined }) {
  if (!result) throw new Error('a mutation of a Batch has no result');
  if (result.$case === 'error') entry.reject(toScripError(result.value));
  else entry.resolve(result.value);
}

/** Resolves when it has ended. From now on the call itself keeps its deadline and its signal. */
async function sendAlone(entry: Entry): Promise<void> {
  if (entry.isEnded) return;
  const response = entry.mutation.sendAlone();
  entry.resolve(response);
  await response.catch(() => {});
}

async function sendEachAlone(entries: readonly Entry[]): Promise<void> {
  const rest = entries.values();
  const sendRest = async () => {
    for (const entry of rest) await sendAlone(entry);
  };
  await Promise.all(Array.from({ length: ALONE_MAX }, sendRest));
}
