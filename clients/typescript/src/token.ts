/** The bearer token of a call. Whatever keeps it away is an error of the call, before anything was sent. */
import { status } from '@grpc/grpc-js';
import { cancelled, deadlineExceeded } from './errors.ts';
import { ScripError } from './scrip-error.ts';

/** A bearer token, or what gives one for each call, such as a function that reads the file of a projected token. */
export type Token = string | (() => string | Promise<string>);

export type TokenLimits = {
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
};

/** The longest delay of a timer; a longer one fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Rejects with a ScripError: a call that must not be given up can be repeated after it. */
export async function tokenOf(token: Token, limits: TokenLimits): Promise<string> {
  const text = typeof token === 'string' ? token : await inTime(ask(token), limits);
  // grpc-js would repeat the token in its error.
  if (!/^[\x21-\x7e]+$/.test(text)) throw noToken('the token is not one word', undefined);
  return text;
}

async function ask(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (error) {
    throw noToken('there is no token: the function that gives it failed', error);
  }
}

/** The function of the caller knows neither the deadline nor the signal of the call. */
function inTime(asked: Promise<string>, { deadline, signal }: TokenLimits): Promise<string> {
  return new Promise((resolve, reject) => {
    const exceed = () => reject(deadlineExceeded(undefined, 'none'));
    const abort = () => reject(cancelled(signal?.reason));
    const left = Math.min(Math.max(deadline - performance.now(), 0), TIMER_MAX_MS);
    const timer = setTimeout(exceed, left);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    asked.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  });
}

const noToken = (message: string, cause: unknown): ScripError =>
  new ScripError({
    code: status.UNAUTHENTICATED,
    reason: '',
    message,
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
    outcome: 'none',
    cause,
  });
