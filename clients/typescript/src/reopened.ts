/** A stream of the service that is opened again wherever it breaks. */
import { setTimeout as delay } from 'node:timers/promises';
import { cancelled } from './errors.ts';
import { isPassing, waitMs } from './repeats.ts';
import { ScripError } from './scrip-error.ts';

export type ReopenedOptions = {
  /** True: the stream has no end. One that ends all the same is opened again. */
  readonly follow: boolean;
  /** How long to try without getting a message. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
};

/**
 * Yields the messages of a stream, and of the one that is opened in its place if the connection is lost, the replica
 * stops or the service asks to come back. `open` begins after the last message that was yielded.
 */
export async function* reopened<Message>(
  open: () => AsyncIterable<Message>,
  { follow, timeoutMs, signal }: ReopenedOptions,
): AsyncGenerator<Message, void, void> {
  let failures = 0;
  let lastAnswer = performance.now();
  for (;;) {
    if (signal?.aborted) throw cancelled(signal.reason, 'none');
    let pause: number;
    try {
      for await (const message of open()) {
        failures = 0;
        yield message;
        lastAnswer = performance.now();
      }
      if (!follow) return;
      pause = waitMs({ retryAfterMs: undefined }, ++failures, false, Math.random());
    } catch (error) {
      if (signal?.aborted) throw cancelled(signal.reason, 'none');
      if (!(error instanceof ScripError)) throw error;
      pause = waitMs(error, ++failures, false, Math.random());
      const waited = performance.now() - lastAnswer + pause;
      if (!isPassing(error) || waited > timeoutMs) throw error.withOutcome('none'); // A stream changes nothing.
    }
    await delay(pause, undefined, signal && { signal }).catch(() => {});
  }
}
