/** What the callers of a simulation saw. */

import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import type { Method, Request, Response } from './model/requests.ts';
import type { ReadSpec } from './trace.ts';

/** The outcome of one attempt. */
export type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | {
      readonly kind: 'refusal';
      readonly reason: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  /** Whether it has an effect is not known. */
  | { readonly kind: 'unknown' };

/** When an attempt was sent and answered, by the simulation's own counter of events. */
export type Span = { readonly sent: number; readonly received: number };

/** An attempt of a mutation. */
export type Attempt = Span & {
  readonly step: number;
  readonly request: Request;
  readonly outcome: Outcome<Response>;
  /** Of an atomic batch: all requests of it, in their order. */
  readonly together?: readonly Request[];
};

/** A read, with the message that it was answered with. */
export type Read = Span & {
  readonly step: number;
  readonly accountId: string;
  readonly spec: ReadSpec;
  readonly subject: string;
  readonly outcome: Outcome<object>;
};

/** Events in the order in which they happened, and the time of the clocks at each. */
export class Timeline {
  #count = 0;
  #now: number;
  readonly #times: { readonly since: number; readonly now: number }[];

  constructor(now: number) {
    this.#now = now;
    this.#times = [{ since: 0, now }];
  }

  get now(): number {
    return this.#now;
  }

  tick(): number {
    this.#count += 1;
    return this.#count;
  }

  advanceTo(now: number) {
    if (now <= this.#now) return;
    this.#now = now;
    this.#times.push({ since: this.tick(), now });
  }

  /** The event since which the clocks show this time, or a later one. */
  reached(time: number): number {
    return this.#times.find(({ now }) => now >= time)?.since ?? Number.POSITIVE_INFINITY;
  }

  /** What the clocks showed between two events. */
  timesWithin({ sent, received }: Span): readonly number[] {
    return this.#times.flatMap(({ since, now }, index) => {
      const until = this.#times[index + 1]?.since ?? Number.POSITIVE_INFINITY;
      return since <= received && until >= sent ? [now] : [];
    });
  }
}

export const keyOf = (method: Method, accountId: string, requestId: string): string =>
  `${method} ${accountId} ${requestId}`;

/** What was seen of an account. */
export type Observed = {
  readonly accountId: string;
  readonly attempts: readonly Attempt[];
  readonly reads: readonly Read[];
  readonly entries: readonly Entry[];
  /** What was decided in shadow mode. */
  readonly decisions: readonly ShadowDecision[];
  readonly timeline: Timeline;
  /** Whether the provider has got a payment of the price. */
  readonly isPaid: (purchaseId: string) => boolean;
};
