/**
 * What OpenTelemetry says of itself, such as that a collector takes no spans. It says so again with every batch: one
 * line of the log per outage is enough, and a counter.
 */
import { type DiagLogFunction, DiagLogLevel, diag } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { monotonicMs } from './monotonic.ts';

/** Without a failure for so long, the next one is another outage. */
const OUTAGE_GAP_MS = 600_000;
const DROPPED = /^Dropped (\d+) spans/;
/** The levels of OTEL_LOG_LEVEL. */
const LEVELS: Readonly<Record<string, DiagLogLevel>> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
};

/** Since the process started. */
export type TelemetryFailures = {
  /** Failed attempts to export a batch of spans, metrics or logs, and other errors. */
  readonly errors: number;
  /** Spans that were dropped because too many waited. */
  readonly droppedSpans: number;
};

const counts = { errors: 0, droppedSpans: 0 };

export const telemetryFailures: TelemetryFailures = counts;

/** From now on OpenTelemetry logs to `log`. `monotonic` gives a time in milliseconds. */
export function logTelemetryFailures(log: Logger, monotonic = monotonicMs) {
  let lastAt = Number.NEGATIVE_INFINITY;
  const fail: DiagLogFunction = (message, ...details) => {
    const dropped = DROPPED.exec(message)?.[1];
    if (dropped) counts.droppedSpans += Number(dropped);
    else counts.errors += 1;
    const now = monotonic();
    if (now - lastAt > OUTAGE_GAP_MS)
      log.warn(
        { telemetry: textOf(message, details) },
        'telemetry is not exported; further failures are only counted',
      );
    lastAt = now;
  };
  const debug: DiagLogFunction = (message, ...details) =>
    log.debug({ telemetry: textOf(message, details) }, 'telemetry');
  const level = LEVELS[process.env['OTEL_LOG_LEVEL']?.toLowerCase() ?? ''];
  diag.setLogger(
    { error: fail, warn: fail, info: debug, debug, verbose: debug },
    { logLevel: level ?? DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** Errors come as JSON with their stacks: the message of one is enough. */
function textOf(message: string, details: readonly unknown[]): string {
  const [, own] = /"message":("(?:[^"\\]|\\.)*")/.exec(message) ?? [];
  const text = [own ? JSON.parse(own) : message, ...details.map(String)].join(' ');
  return text.slice(0, 300);
}
