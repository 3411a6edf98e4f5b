/** Which errors an attempt is repeated after, and when. */
import { status } from '@grpc/grpc-js';
import type { ScripError } from './scrip-error.ts';

/** What the connection or a proxy breaks, and what passes. A refusal by a rule stays. */
export function isPassing({ code, reason, retryAfterMs }: ScripError): boolean {
  switch (code) {
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return true;
    case status.RESOURCE_EXHAUSTED:
      return retryAfterMs !== undefined;
    // How grpc-js reports a stream that was reset. Those of the service have a reason.
    case status.INTERNAL:
    case status.UNKNOWN:
    case status.CANCELLED:
      return reason === '';
    default:
      return false;
  }
}

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

/**
 * How long to wait after so many failures: twice as long each time, and half of it by chance, so that callers
 * do not come back together. Never less than the service asked for.
 */
export function waitMs(
  { retryAfterMs = 0 }: Pick<ScripError, 'retryAfterMs'>,
  failures: number,
  isThrottled: boolean,
  random: number,
): number {
  const grown = (first: number) => Math.min(first * 2 ** (failures - 1), LONGEST_WAIT_MS);
  const wait = isThrottled ? LONGEST_WAIT_MS : Math.max(grown(FIRST_WAIT_MS), grown(retryAfterMs));
  return Math.max((wait * (1 + random)) / 2, retryAfterMs * (1 + random / 2));
}

const TOKENS_MAX = 100;
const TOKENS_OF_SUCCESS = 0.2;

/**
 * What all calls of a client tell about the service. While most attempts fail, each is repeated after the longest
 * wait: repeats must not be what keeps the service down. It delays repeats and ends no call.
 */
export class Throttle {
  #tokens = TOKENS_MAX;

  get isThrottled(): boolean {
    return this.#tokens < TOKENS_MAX / 2;
  }

  failed() {
    this.#tokens = Math.max(this.#tokens - 1, 0);
  }

  succeeded() {
    this.#tokens = Math.min(this.#tokens + TOKENS_OF_SUCCESS, TOKENS_MAX);
  }
}
