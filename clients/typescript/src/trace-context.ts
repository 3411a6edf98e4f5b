/**
 * The span that the application is in. `@opentelemetry/api` registers itself under a global symbol, so the client
 * needs no dependency to ask it, and does nothing where the application does not use it.
 */

type SpanContext = {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
};

type Context = { getValue(key: symbol): unknown };

type OpenTelemetry = { readonly context?: { active(): Context } };

const API = Symbol.for('opentelemetry.js.api.1');
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN');

/** The W3C trace context of the active span; undefined if there is none. */
export function activeTraceparent(): string | undefined {
  const api = (globalThis as { readonly [API]?: OpenTelemetry })[API];
  const span = api?.context?.active().getValue(SPAN) as { spanContext?(): SpanContext } | undefined;
  const context = span?.spanContext?.();
  if (!context || !/^(?!0+$)[0-9a-f]{32}$/.test(context.traceId)) return undefined;
  const flags = (context.traceFlags & 0xff).toString(16).padStart(2, '0');
  return `00-${context.traceId}-${context.spanId}-${flags}`;
}
