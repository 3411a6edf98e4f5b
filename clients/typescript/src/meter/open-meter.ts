/** A meter that is open: the accountant with a clock, a timer and the calls. */
import { isRefusal, within } from '../reservation/until-answered.ts';
import {
  Accountant,
  type Charge,
  type Command,
  type Extend,
  type Report,
  type Reserve,
} from './accountant.ts';
import type { Meter, MeterOptions, MeterTotals } from './meter.ts';
import type { MeterCalls } from './meter-calls.ts';
import type { MeterClock } from './meter-clock.ts';
import type { ReservedTerms } from './metered-reservation.ts';

type OpenOptions = Pick<MeterOptions, 'onRefused' | 'onLost'> & { readonly intervalMs: number };

const CLOSE_TIMEOUT_MS = 10_000;

export class OpenMeter implements Meter {
  readonly #calls: MeterCalls;
  readonly #options: OpenOptions;
  readonly #accountant: Accountant;
  #timer: NodeJS.Timeout | undefined;
  #isWoken = false;
  #isStopped = false;
  readonly #clock: MeterClock;
  #closed: Promise<MeterTotals> | null = null;
  #onSettled: () => void = () => {};
  readonly #closing: AbortSignal | undefined;

  constructor(
    calls: MeterCalls,
    first: ReservedTerms,
    options: OpenOptions,
    clock: MeterClock,
    closing: AbortSignal | undefined,
  ) {
    this.#calls = calls;
    this.#options = options;
    this.#clock = clock;
    this.#accountant = new Accountant(calls.units, options.intervalMs);
    this.#accountant.reserved(first, this.#clock.now());
    this.#closing = closing;
    if (closing?.aborted) this.#stop();
    else this.#work();
    closing?.addEventListener('abort', this.#stop);
  }

  // Functions and not methods, so that they can be handed on.
  readonly tryUse = (units = 1): boolean => {
    if (!(Number.isSafeInteger(units) && units > 0))
      throw new RangeError('units must be an integer of 1 or more');
    const now = this.#clock.now();
    const isAllowed = this.#accountant.tryUse(units, now);
    if (this.#accountant.isLow(now)) this.#wake();
    return isAllowed;
  };

  readonly close = ({ timeoutMs = CLOSE_TIMEOUT_MS } = {}): Promise<MeterTotals> => {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  };

  get available(): number {
    return this.#accountant.available(this.#clock.now());
  }

  get allowed(): number {
    return this.#accountant.allowed;
  }

  get charged(): number {
    return this.#accountant.charged;
  }

  get lost(): number {
    return this.#accountant.lost;
  }

  get problem(): Error | null {
    return this.#calls.problem;
  }

  async #close(timeoutMs: number): Promise<MeterTotals> {
    const settled = new Promise<void>((resolve) => {
      this.#onSettled = resolve;
    });
    this.#accountant.close();
    this.#work();
    if (!this.#isStopped) await within(settled, timeoutMs, () => {});
    this.#stop();
    const { allowed, charged, lost } = this;
    return { allowed, charged, lost };
  }

  /** Does nothing more. What is in flight may still be answered. */
  readonly #stop = () => {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#closing?.removeEventListener('abort', this.#stop);
    this.#accountant.close();
    this.#calls.giveUp(new Error('the meter is closed'));
    this.#onSettled();
  };

  /** Works soon, and not within `tryUse`. */
  #wake() {
    if (this.#isWoken) return;
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      this.#work();
    });
  }

  #work() {
    if (this.#isStopped) return;
    const now = this.#clock.now();
    for (const command of this.#accountant.due(now)) void this.#perform(command);
    clearTimeout(this.#timer);
    const nextAt = this.#accountant.nextAt();
    // A process does not end while its meter has something to report.
    if (nextAt < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#work(), Math.ceil(Math.max(nextAt - now, 0)));
    if (this.#accountant.isSettled) this.#onSettled();
  }

  /** Resolves when it is answered, or was given up. */
  async #perform(command: Command): Promise<void> {
    try {
      if (command.kind === 'reserve') await this.#reserve(command);
      else if (command.kind === 'report') await this.#report(command);
      else if (command.kind === 'extend') await this.#extend(command);
      else await this.#charge(command);
    } catch (error) {
      // It stays unanswered: the client or the meter was closed.
      this.#calls.problem ??= error as Error;
      this.#stop();
    }
    this.#work();
  }

  async #reserve(command: Reserve) {
    const { onRefused } = this.#options;
    try {
      const terms = await this.#calls.reserve(command.units);
      this.#accountant.reserved(terms, this.#clock.now());
      this.#accountant.resize(this.#calls.units);
    } catch (error) {
      if (!isRefusal(error) && !(error instanceof RangeError)) throw error;
      const now = this.#clock.now();
      this.#accountant.refused(command, now, this.#calls.availableOf(error));
      if (onRefused) queueMicrotask(() => onRefused(error));
    }
  }

  async #report(command: Report) {
    const { reservation, units, final } = command;
    try {
      await this.#calls.report(reservation, units, final);
      this.#accountant.reportedAs(command);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      for (const charge of this.#accountant.reportRefused(command)) await this.#charge(charge);
    }
  }

  async #extend(command: Extend) {
    try {
      this.#accountant.extended(command, await this.#calls.extend(command.reservation));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#accountant.extended(command, null);
    }
  }

  async #charge(command: Charge) {
    const { onLost } = this.#options;
    try {
      await this.#calls.charge(command.reservation, command.units);
      this.#accountant.chargedAs(command, true);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#accountant.chargedAs(command, false);
      if (onLost) queueMicrotask(() => onLost(command.units, error));
    }
  }
}
