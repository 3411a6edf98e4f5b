/** A service that answers calls in their order at a steady rate, in steps of a millisecond, behind an Admission. */
import { Admission, type CallInFlight } from '../../src/admission/admission.ts';

export type Arrivals = {
  readonly caller: string;
  readonly accountId: string;
  readonly perSecond: number;
  readonly timeoutMs: number;
};

type Waiting = { readonly call: CallInFlight; readonly arrivals: Arrivals };

export type Served = {
  sent: number;
  answered: number;
  /** Answered after the caller had given up. */
  late: number;
  longestMs: number;
};

export class SimulatedService {
  now = 0;
  readonly admission: Admission;
  congestions = 0;
  #queue: Waiting[] = [];
  #credit = 0;
  readonly #perSecond: number;

  constructor(perSecond: number, options: { waitMaxMs: number; inFlightMax: number }) {
    this.#perSecond = perSecond;
    const onCongestion = () => {
      this.congestions += 1;
    };
    this.admission = new Admission({ ...options, onCongestion }, () => this.now);
  }

  /** Lets time pass with these loads, and says what came of each. */
  run(ms: number, loads: readonly Arrivals[]): Served[] {
    const served = loads.map(() => ({ sent: 0, answered: 0, late: 0, longestMs: 0 }));
    const due = loads.map(() => 0);
    for (const end = this.now + ms; this.now < end; this.now += 1) {
      for (const [index, arrivals] of loads.entries()) {
        due[index] = (due[index] as number) + arrivals.perSecond / 1_000;
        for (; (due[index] as number) >= 1; due[index] = (due[index] as number) - 1) {
          (served[index] as Served).sent += 1;
          this.#arrive(arrivals);
        }
      }
      this.#answer(loads, served);
    }
    return served;
  }

  get inFlight(): number {
    return this.#queue.length;
  }

  #arrive(arrivals: Arrivals) {
    const { caller, accountId, timeoutMs } = arrivals;
    const { admission } = this;
    if (!admission.admitsCaller(caller, timeoutMs) || !admission.admitsAccount(accountId)) return;
    this.#queue.push({ call: admission.enter(caller, accountId), arrivals });
  }

  #answer(loads: readonly Arrivals[], served: readonly Served[]) {
    this.#credit = Math.min(this.#queue.length, this.#credit + this.#perSecond / 1_000);
    for (; this.#credit >= 1; this.#credit -= 1) {
      const { call, arrivals } = this.#queue.shift() as Waiting;
      const waitedMs = this.now - call.since;
      const isLate = waitedMs > arrivals.timeoutMs;
      this.admission.leave(call, !isLate);
      const of = served[loads.indexOf(arrivals)];
      if (!of) continue;
      if (isLate) of.late += 1;
      else {
        of.answered += 1;
        of.longestMs = Math.max(of.longestMs, waitedMs);
      }
    }
  }
}
