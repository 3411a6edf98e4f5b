/** Starts spans of the table in `spans.ts`. The types keep other names and attributes out; they cost nothing. */
import {
  context,
  isValidSpanId,
  isValidTraceId,
  type Link,
  type SpanOptions as Options,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type TimeInput,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { SCHEMA_URL } from './attributes.ts';
import { monotonicMs } from './monotonic.ts';
import { type AttributesOf, SPANS, type SpanName } from './spans.ts';
import { VERSION } from './version.ts';

/** OpenTelemetry's span, which takes only what the table says. */
export type SpanOf<Name extends SpanName> = Pick<
  Span,
  'end' | 'isRecording' | 'spanContext' | 'addLink' | 'recordException'
> & {
  setAttributes(attributes: AttributesOf<Name>): unknown;
};

/** What spans are the children of. */
export type Parent = typeof ROOT_CONTEXT;

export type Start<Name extends SpanName> = {
  /** Default: none, the span begins a trace. */
  readonly parent?: Parent;
  readonly attributes?: AttributesOf<Name>;
  readonly links?: Link[];
  readonly startTime?: TimeInput;
};

/** A span by its ids, as calls, events and tasks carry it. */
export type SpanRef = {
  readonly traceId: string;
  readonly spanId: string;
  /** Whether it is exported. */
  readonly sampled: boolean;
};

export class Tracing {
  readonly #tracer: Tracer;

  /** To be made after the SDK has started. */
  constructor() {
    const options = { schemaUrl: SCHEMA_URL };
    this.#tracer = trace.getTracerProvider().getTracer('scrip', VERSION, options);
  }

  /** The time, for spans that are started later than what they stand for. */
  now(): number {
    return monotonicMs();
  }

  /** `title`: the name that is shown, where the table says that it is not the key. */
  start<Name extends SpanName>(
    name: Name,
    { parent = ROOT_CONTEXT, attributes, links, startTime }: Start<Name> = {},
    title: string = name,
  ): SpanOf<Name> {
    const options: Options = { kind: SPANS[name].kind };
    if (attributes) options.attributes = attributes as NonNullable<Options['attributes']>;
    if (links) options.links = links;
    if (startTime !== undefined) options.startTime = startTime;
    return this.#tracer.startSpan(title, options, parent) as unknown as SpanOf<Name>;
  }
}

/** Marks a span as failed by a fault: of a kind, such as "INTERNAL" or an SQLSTATE. */
export function failSpan<Name extends SpanName>(
  span: SpanOf<Name>,
  errorType: 'error.type' extends keyof AttributesOf<Name> ? string : never,
  message = '',
) {
  const failed = span as unknown as Span;
  failed.setAttribute('error.type', errorType);
  failed.setStatus({ code: SpanStatusCode.ERROR, ...(message && { message }) });
}

export function refOf(span: Pick<Span, 'spanContext'>): SpanRef {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 };
}

export const spanContextOf = ({ traceId, spanId, sampled }: SpanRef): SpanContext => ({
  traceId,
  spanId,
  traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
});

export const isSpan = ({ traceId, spanId }: Omit<SpanRef, 'sampled'>): boolean =>
  isValidTraceId(traceId) && isValidSpanId(spanId);

/** Links a span to one of which it is not known any more whether it was exported. */
export function linkTo(span: Pick<Span, 'addLink'>, ref: Omit<SpanRef, 'sampled'> | null) {
  if (ref && isSpan(ref)) span.addLink({ context: spanContextOf({ ...ref, sampled: false }) });
}

/** What makes spans the children of this one. */
export const childrenOf = (span: Pick<Span, 'spanContext'>): Parent =>
  trace.setSpanContext(ROOT_CONTEXT, span.spanContext());

/** The same, by its ids: it may have ended on another replica. Of what is no span: none. */
export const childrenOfRef = (ref: SpanRef, isRemote = true): Parent =>
  isSpan(ref)
    ? trace.setSpanContext(ROOT_CONTEXT, { ...spanContextOf(ref), isRemote })
    : ROOT_CONTEXT;

/** W3C's header; null for what is no span. */
export const traceparentOf = (ref: SpanRef): string | null =>
  isSpan(ref) ? `00-${ref.traceId}-${ref.spanId}-${ref.sampled ? '01' : '00'}` : null;

/**
 * Runs `work` so that calls of the payment provider in it are children of the span. Only they look for their parent
 * this way: everything else is told.
 */
export const within = <Result>(ref: SpanRef, work: () => Result): Result =>
  context.with(childrenOfRef(ref, false), work);

/** What `within` was told. */
export const currentParent = (): Parent => context.active();
