/** A mutation that waits for its turn, or for the Batch that it was sent in. */
import { cancelled, deadlineExceeded } from '../errors.ts';
import type { Outcome } from '../scrip-error.ts';
import type { BatchedMutation, BatchedResponse } from './batched-mutation.ts';
import { encodeMutation } from './encode.ts';
import { type Weight, weigh } from './weight.ts';

/** The longest delay of a timer; a longer one fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Entry {
  readonly mutation: BatchedMutation;
  readonly encoded: Uint8Array;
  readonly weight: Weight;
  readonly response: Promise<BatchedResponse>;
  /** Called when the caller has given up. */
  onAbandoned: () => void = () => {};
  isSent = false;
  isEnded = false;
  #resolve!: (response: BatchedResponse | Promise<BatchedResponse>) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(mutation: BatchedMutation) {
    this.mutation = mutation;
    this.encoded = encodeMutation(mutation);
    this.weight = weigh(mutation.content.value, this.encoded.length);
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** From now on its deadline and its signal end it. */
  watch() {
    const { deadline, signal } = this.mutation.options;
    if (signal?.aborted) return this.#abort();
    const left = Math.min(Math.max(deadline - performance.now(), 0), TIMER_MAX_MS);
    this.#timer = setTimeout(this.#exceed, left);
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  resolve(response: BatchedResponse | Promise<BatchedResponse>) {
    if (this.#end()) this.#resolve(response);
  }

  reject(error: unknown) {
    if (this.#end()) this.#reject(error);
  }

  /** False if it had ended before. */
  #end(): boolean {
    if (this.isEnded) return false;
    this.isEnded = true;
    clearTimeout(this.#timer);
    this.mutation.options.signal?.removeEventListener('abort', this.#abort);
    return true;
  }

  readonly #exceed = () => this.#abandon(deadlineExceeded(undefined, this.#outcome));

  readonly #abort = () =>
    this.#abandon(cancelled(this.mutation.options.signal?.reason, this.#outcome));

  /** Of a caller that gives up now. */
  get #outcome(): Outcome {
    return this.isSent ? 'unknown' : 'none';
  }

  #abandon(error: Error) {
    if (this.isEnded) return;
    this.reject(error);
    this.onAbandoned();
  }
}
