/**
 * Admission control: which calls are served where more arrive than can be. It looks at how long the
 * oldest call has been waiting, not at how many wait: a burst that is soon served is let in, a queue that
 * stays is not. The limits of shares are dynamic thresholds, as in buffers of switches (Choudhury and
 * Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
 */
import { Counts } from './counts.ts';
import { Throughput } from './throughput.ts';

export type AdmissionOptions = {
  /** How long a call may wait while others are refused, in milliseconds. */
  readonly waitMaxMs: number;
  /** Calls in flight at most, whatever they wait. */
  readonly inFlightMax: number;
  /** Told when the service becomes congested. */
  readonly onCongestion: (state: Congestion) => void;
};

export type Congestion = {
  /** Calls in flight. */
  readonly queue: number;
  /** Calls that may be in flight. */
  readonly limit: number;
  /** Calls answered in a second. */
  readonly perSecond: number;
};

/** A mutation or a read in flight. A Batch has one for each of its mutations. */
export type CallInFlight = {
  readonly caller: string;
  /** Null for reads. */
  readonly accountId: string | null;
  readonly since: number;
};

/**
 * Calls that may be in flight in any case: too few to be a queue, and enough to measure how fast they are
 * answered.
 */
const IN_FLIGHT_MIN = 64;
/** As many calls may be in flight although their deadlines are near, so that answers can be measured. */
const PROBES = 8;
/**
 * A caller, and an account, may have in flight SHARE times what is left of the limit. So one alone takes
 * four fifths of it, and several share nearly all of it equally.
 */
const SHARE = 4;
/**
 * The part of the limit that is guaranteed, in equal shares, to those with calls in flight. One with few calls
 * is served even while more are in flight than the limit allows.
 */
const GUARANTEED = 0.5;
/** Calls that are guaranteed to each account. Its callers are limited by their own shares. */
const ACCOUNT_GUARANTEED = 16;
/** The part of a call's time that it may wait. The rest is left for the unit of work that serves it. */
const WAIT_SHARE = 0.65;
/** The service is congested once a call has waited for this part of the longest wait. */
const CONGESTED_WAIT = 0.2;
/** Congestion ends when for so long no call was refused and none has been waiting. */
const CONGESTION_MS = 1_000;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #now: () => number;
  /** The oldest first. */
  readonly #calls = new Set<CallInFlight>();
  readonly #callers = new Counts();
  readonly #accounts = new Counts();
  readonly #throughput: Throughput;
  #congestedUntil = Number.NEGATIVE_INFINITY;

  /** `now` is a monotonic time in milliseconds. */
  constructor(options: AdmissionOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
    this.#throughput = new Throughput(now());
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  /** Calls that may be in flight at present. */
  get limit(): number {
    const { waitMaxMs, inFlightMax } = this.#options;
    if (!this.#isCongested(this.#now())) return inFlightMax;
    const served = Math.floor((this.#throughput.perSecond * waitMaxMs) / 1_000);
    return Math.min(inFlightMax, Math.max(IN_FLIGHT_MIN, served));
  }

  /** Whether a call is served. `timeoutMs` is how long its caller waits. */
  admitsCaller(caller: string, timeoutMs: number): boolean {
    return this.#admits(this.#callers, caller, 0, timeoutMs);
  }

  /** Whether a mutation that was admitted for its caller is served on this account. */
  admitsAccount(accountId: string): boolean {
    return this.#admits(this.#accounts, accountId, ACCOUNT_GUARANTEED, Number.POSITIVE_INFINITY);
  }

  /** Counts a call, until `leave`. */
  enter(caller: string, accountId: string | null): CallInFlight {
    const call = { caller, accountId, since: this.#now() };
    this.#calls.add(call);
    this.#callers.add(caller);
    if (accountId !== null) this.#accounts.add(accountId);
    return call;
  }

  /** `isAnswered`: the call was served and its caller still waits for the answer. */
  leave(call: CallInFlight, isAnswered: boolean) {
    this.#calls.delete(call);
    this.#callers.remove(call.caller);
    if (call.accountId !== null) this.#accounts.remove(call.accountId);
    if (isAnswered) this.#throughput.count();
  }

  #admits(sharers: Counts, name: string, guaranteedMin: number, timeoutMs: number): boolean {
    const queue = this.#calls.size;
    const { waitMaxMs, inFlightMax } = this.#options;
    if (queue < Math.min(PROBES, inFlightMax)) return true;
    const now = this.#now();
    this.#throughput.observe(now);
    if (queue >= IN_FLIGHT_MIN && this.#oldestWaitMs(now) > waitMaxMs * CONGESTED_WAIT)
      this.#congest(now);
    const admits =
      this.#isInTime(queue, timeoutMs, now) && this.#isInShare(sharers, name, guaranteedMin);
    if (!admits) this.#congest(now);
    return admits;
  }

  #isInTime(queue: number, timeoutMs: number, now: number): boolean {
    if (!this.#isCongested(now)) return true;
    return (queue / this.#throughput.perSecond) * 1_000 <= timeoutMs * WAIT_SHARE;
  }

  #isInShare(sharers: Counts, name: string, guaranteedMin: number): boolean {
    const { limit } = this;
    const queue = this.#calls.size;
    // Names cost nothing: the guaranteed shares of many new ones would have no end.
    if (queue >= Math.min(this.#options.inFlightMax, limit / GUARANTEED)) return false;
    const share = sharers.get(name);
    const others = share > 0 ? sharers.size - 1 : sharers.size;
    const guaranteed = Math.max(guaranteedMin, (limit * GUARANTEED) / (others + 1));
    return share < Math.max(guaranteed, SHARE * (limit - queue));
  }

  #oldestWaitMs(now: number): number {
    for (const { since } of this.#calls) return now - since;
    return 0;
  }

  #isCongested(now: number): boolean {
    return now < this.#congestedUntil;
  }

  #congest(now: number) {
    const begins = !this.#isCongested(now);
    this.#congestedUntil = now + CONGESTION_MS;
    if (!begins) return;
    const { inFlight, limit } = this;
    this.#options.onCongestion({ queue: inFlight, limit, perSecond: this.#throughput.perSecond });
  }
}
