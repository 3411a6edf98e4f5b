/** The clock by which spans and records are measured, in milliseconds: OpenTelemetry's own. */
export const monotonicMs = (): number => performance.now();
