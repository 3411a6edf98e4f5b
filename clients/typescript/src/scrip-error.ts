import type { PackOffer } from './gen/billing/v1/pricing.ts';

/** Whether a call that failed may have had an effect: `none` says that the service wrote nothing. */
export type Outcome = 'none' | 'unknown';

export type Violation = {
  /** Path of the field, such as "usages.items[2].count". */
  readonly field: string;
  readonly description: string;
};

export type ErrorContent = {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number | undefined;
  readonly outcome: Outcome;
  /** Packs to buy, of errors for lack of credits. */
  readonly offers?: readonly PackOffer[];
  readonly cause: unknown;
  /** Of the call, where that is a mutation. */
  readonly requestId?: string | undefined;
  readonly mutationIndex?: number | undefined;
};

/**
 * What a call failed with. Errors of the service are instances of the class of their reason, such as
 * `InsufficientCredits`; those of the connection, and of reasons that this version does not know, of this one.
 */
export class ScripError extends Error {
  /** gRPC status code. */
  readonly code: number;
  /** Such as "INSUFFICIENT_CREDITS"; empty if the error does not come from the service. */
  readonly reason: string;
  /** Every dynamic value of the message, as text. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The bad fields of a request. */
  readonly violations: readonly Violation[];
  /** When the service says that a repeated call may succeed, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /**
   * `none`: the service said that nothing was written. `unknown`: the deadline passed, the call was aborted or
   * the connection was lost; the same request with the same `requestId` tells what became of it.
   */
  readonly outcome: Outcome;
  /** The request id that the call had, also where the client made it; undefined if it is no mutation. */
  readonly requestId: string | undefined;
  /** Of `scrip.atomic`: the place of the mutation that was refused, counted from 0. Otherwise undefined. */
  readonly mutationIndex: number | undefined;

  readonly #content: ErrorContent;

  constructor(content: ErrorContent) {
    super(content.message, { cause: content.cause });
    this.#content = content;
    this.name = new.target.name;
    this.code = content.code;
    this.reason = content.reason;
    this.metadata = content.metadata;
    this.violations = content.violations;
    this.retryAfterMs = content.retryAfterMs;
    this.outcome = content.outcome;
    this.requestId = content.requestId;
    this.mutationIndex = content.mutationIndex;
  }

  /** @internal The same error with another outcome: an earlier attempt of the call may have had an effect. */
  withOutcome(outcome: Outcome, requestId = this.#content.requestId): ScripError {
    if (outcome === this.outcome && requestId === this.#content.requestId) return this;
    const Class = this.constructor as new (content: ErrorContent) => ScripError;
    const error = new Class({ ...this.#content, outcome, requestId });
    // Where it happened.
    error.stack = this.stack ?? '';
    return error;
  }
}
