/** Repeats a call until the service has decided it. */
import { status } from '@grpc/grpc-js';
import type { CallOptions } from '../call-options.ts';
import { ScripError } from '../scrip-error.ts';

/** Statuses of errors that say no, and mean it. */
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
]);

/** The service said that it wrote nothing, and why. */
type Refusal = ScripError & { readonly outcome: 'none' };

/**
 * Whether the service refused the call by a rule, so that repeating it is of no use. Wrong clocks are no rule.
 * Neither are rights and credentials where work is done already: they can be mended, a charge that was given up
 * cannot.
 */
export const isRefusal = (error: unknown): error is Refusal =>
  error instanceof ScripError &&
  error.reason !== '' &&
  REFUSALS.has(error.code) &&
  error.reason !== 'REQUEST_EXPIRED';

export type Persistence = {
  /** Of each attempt; repeats of the client within it included. */
  readonly attemptMs: number;
  /** Ends the attempts, and aborts the one in flight. */
  readonly signal?: AbortSignal | undefined;
  /** Aborted once the client is closed: an attempt that fails then is the last one. */
  readonly closing?: AbortSignal | undefined;
  /** Whether a pause between attempts keeps the process alive. */
  readonly keepsAlive: boolean;
  /** What all attempts have in common. */
  readonly call?: Pick<CallOptions, 'metadata' | 'traceparent'>;
};

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 10_000;

/** Rejects with a refusal, with the reason of `closing`, or with what is no error of a call. */
export async function untilAnswered<Response>(
  send: (options: CallOptions) => Promise<Response>,
  { attemptMs, signal, closing, keepsAlive, call }: Persistence,
): Promise<Response> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      return await send({ ...call, timeoutMs: attemptMs, ...(signal && { signal }) });
    } catch (error) {
      if (!(error instanceof ScripError) || isRefusal(error) || signal?.aborted) throw error;
      if (closing?.aborted) throw closing.reason;
      const waitMs = (error.retryAfterMs ?? 0) + pauseMs * (0.5 + Math.random() / 2);
      await pause(waitMs, { signal: signal ?? closing, keepsAlive });
    }
  }
}

/** The longest delay that a timer of Node has. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves after so many milliseconds, or as soon as the signal aborts. */
export function pause(
  ms: number,
  {
    signal,
    keepsAlive,
  }: { readonly signal?: AbortSignal | undefined; readonly keepsAlive: boolean },
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    if (!keepsAlive) timer.unref();
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}

/** What the promise resolves to, or the alternative if that takes longer. Keeps the process alive until then. */
export async function within<Value, Late>(
  promise: Promise<Value>,
  ms: number,
  late: () => Late,
): Promise<Value | Late> {
  const decided = new AbortController();
  const timeout = pause(ms, { signal: decided.signal, keepsAlive: true }).then(late);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    decided.abort();
  }
}
