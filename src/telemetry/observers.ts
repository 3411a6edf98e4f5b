/** Who is told of every call and every unit of work at its end: the log, metrics, the list of refusals. */
import type { CallRecord } from './call-record.ts';
import type { UnitRecord } from './unit-record.ts';

/** A request to the payment provider that has ended. */
export type ProviderCall = {
  readonly method: string;
  /** Its path, without ids. */
  readonly template: string;
  /** `unavailable`: no answer, or one that says nothing of the payment. */
  readonly outcome: 'ok' | 'refused' | 'unavailable';
  readonly durationMs: number;
};

export type Observer = {
  /**
   * Told of every call at its end, also of those that were refused before they were decoded, and of every mutation
   * of a Batch (`call.batch` is its call). It must be quick and must not throw, and keeps what it wants to remember.
   */
  callEnded?(call: CallRecord): void;
  /** Told of every attempt of a unit of work at its end. */
  unitEnded?(unit: UnitRecord): void;
  /** Told of every request to the payment provider at its end. */
  providerCallEnded?(call: ProviderCall): void;
};

export class Observers {
  readonly #ofCalls: ((call: CallRecord) => void)[] = [];
  readonly #ofUnits: ((unit: UnitRecord) => void)[] = [];
  readonly #ofProviderCalls: ((call: ProviderCall) => void)[] = [];

  add(observer: Observer) {
    const { callEnded, unitEnded, providerCallEnded } = observer;
    if (callEnded) this.#ofCalls.push(callEnded.bind(observer));
    if (unitEnded) this.#ofUnits.push(unitEnded.bind(observer));
    if (providerCallEnded) this.#ofProviderCalls.push(providerCallEnded.bind(observer));
  }

  callEnded(call: CallRecord) {
    for (const observe of this.#ofCalls) observe(call);
  }

  unitEnded(unit: UnitRecord) {
    for (const observe of this.#ofUnits) observe(unit);
  }

  providerCallEnded(call: ProviderCall) {
    for (const observe of this.#ofProviderCalls) observe(call);
  }
}
