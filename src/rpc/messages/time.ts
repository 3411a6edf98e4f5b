/** Instants and lengths of time, kept in milliseconds, as messages. */
import type { Duration } from '../../gen/google/protobuf/duration.ts';

export const optionalInstant = (ms: number | null): Date | undefined =>
  ms === null ? undefined : new Date(ms);

export const durationMessage = (ms: number): Duration => ({
  seconds: BigInt(Math.floor(ms / 1_000)),
  nanos: (ms % 1_000) * 1_000_000,
});
