import type { Metadata } from '@grpc/grpc-js';

/** Options of one call. */
export type CallOptions = {
  /** The call ends within so many milliseconds, repeats included. Default: that of `connect`. */
  readonly timeoutMs?: number;
  /** Gives the call up. Its outcome is then unknown, unless it had none yet. */
  readonly signal?: AbortSignal;
  /** Additional request metadata, such as `x-on-behalf-of`. */
  readonly metadata?: Metadata;
  /** W3C trace context that the call belongs to. Default: that of the active OpenTelemetry span, if there is one. */
  readonly traceparent?: string;
};
