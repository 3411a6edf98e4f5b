/**
 * The streams that are open: how many there are, and how much of them their readers have not taken yet. A
 * stream waits while its reader is slow, so each holds one message. Those whose readers take nothing are
 * ended.
 */
import { Counts } from '../../admission/counts.ts';
import { Failure, overloaded } from '../../failure.ts';

export type StreamLimits = {
  readonly streamsMax: number;
  readonly perCallerMax: number;
  /** How long a reader may take to read one message, in milliseconds. */
  readonly stallMs: number;
  /** Bytes that wait for readers, of all streams. */
  readonly bufferedBytesMax: number;
};

/** Where a stream goes on: the metadata of the failure that ends it. */
export type Resume = Readonly<Record<string, string | bigint>>;

/** A message that waits for its reader. */
type Waiting = { readonly bytes: number; readonly end: () => void };

export class OpenStreams {
  readonly #limits: StreamLimits;
  readonly #callers = new Counts();
  #count = 0;
  /** The longest wait first. */
  readonly #waiting = new Set<Waiting>();
  #bufferedBytes = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /**
   * Counts a stream, until the function that is returned is called. Throws OVERLOADED if there are too many, and
   * CALLER_LIMIT_REACHED beyond what the policy allows the caller; `callerMax` null: it does not say.
   */
  open(caller: string, callerMax: number | null): () => void {
    const { streamsMax, perCallerMax } = this.#limits;
    const ofCaller = this.#callers.get(caller);
    if (callerMax !== null && ofCaller >= callerMax) throw streamLimitReached(caller, callerMax);
    if (ofCaller >= perCallerMax) throw overloaded(ofCaller, perCallerMax);
    if (this.#count >= streamsMax) throw overloaded(this.#count, streamsMax);
    this.#callers.add(caller);
    this.#count += 1;
    return () => {
      this.#callers.remove(caller);
      this.#count -= 1;
    };
  }

  /**
   * Waits for `sent`: the reader has taken a message. Throws a Failure if it takes too long, or if too much
   * waits and this has waited longest. `resume` says in its metadata where to go on after this message.
   */
  async waitForReader(bytes: number, sent: Promise<void>, resume: Resume): Promise<void> {
    const ended = Promise.withResolvers<'ended'>();
    const waiting: Waiting = { bytes, end: () => ended.resolve('ended') };
    const timer = setTimeout(waiting.end, this.#limits.stallMs);
    this.#add(waiting);
    const outcome = await Promise.race([sent, ended.promise]);
    clearTimeout(timer);
    this.#remove(waiting);
    if (outcome === 'ended') throw readerStalled(resume);
  }

  #add(waiting: Waiting) {
    this.#waiting.add(waiting);
    this.#bufferedBytes += waiting.bytes;
    for (const longest of this.#waiting) {
      if (this.#bufferedBytes <= this.#limits.bufferedBytesMax) return;
      this.#remove(longest);
      longest.end();
    }
  }

  #remove(waiting: Waiting) {
    if (this.#waiting.delete(waiting)) this.#bufferedBytes -= waiting.bytes;
  }
}

const readerStalled = (resume: Resume): Failure =>
  new Failure('OVERLOADED', 'the reader of this stream takes no messages; resume it later', resume);

const streamLimitReached = (caller: string, allowed: number): Failure =>
  new Failure('CALLER_LIMIT_REACHED', `caller ${caller} may have ${allowed} open streams`, {
    caller,
    limit: 'streams',
    allowed,
  });
