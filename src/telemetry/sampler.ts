/**
 * Which spans are exported. OTEL_TRACES_SAMPLER decides of calls and of what begins a trace. A unit of work works for
 * many calls and is in none of their traces: it is exported if any of them is.
 */
import { type Context, type Link, TraceFlags, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

const RECORD = { decision: SamplingDecision.RECORD_AND_SAMPLED };
const NOT_RECORD = { decision: SamplingDecision.NOT_RECORD };

/** Makes ids and passes on the caller's trace, but records no spans: they cost more. */
export const ID_SAMPLER: Sampler = {
  shouldSample: () => NOT_RECORD,
  toString: () => 'ids only',
};

/** Follows the spans that a span links to, and a parent in this process; asks `other` of all other spans. */
export function linkedSampler(other: Sampler): Sampler {
  return {
    shouldSample(context, traceId, name, kind, attributes, links) {
      const parent = parentInProcess(context);
      if (parent !== null) return parent ? RECORD : NOT_RECORD;
      if (links.length === 0)
        return other.shouldSample(context, traceId, name, kind, attributes, links);
      return links.some(isSampled) ? RECORD : NOT_RECORD;
    },
    toString: () => `Linked{${other}}`,
  };
}

const isSampled = ({ context }: Link): boolean => (context.traceFlags & TraceFlags.SAMPLED) !== 0;

/** Whether the parent is exported; null: there is none, or it is the caller's. */
function parentInProcess(context: Context): boolean | null {
  const parent = trace.getSpanContext(context);
  return parent && !parent.isRemote ? (parent.traceFlags & TraceFlags.SAMPLED) !== 0 : null;
}

/** What OpenTelemetry's variables say. The SDK makes the same of them, and gives it to nobody. */
export function samplerOf(env: NodeJS.ProcessEnv, warn: (message: string) => void): Sampler {
  const name = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  const [, isParentBased, root] = /^(parentbased_)?(.*)$/.exec(name) ?? [];
  const sampler = rootSamplerOf(root ?? '', env['OTEL_TRACES_SAMPLER_ARG'], warn);
  if (sampler) return isParentBased ? new ParentBasedSampler({ root: sampler }) : sampler;
  warn(`OTEL_TRACES_SAMPLER=${name} is unknown: parentbased_always_on is used`);
  return new ParentBasedSampler({ root: new AlwaysOnSampler() });
}

function rootSamplerOf(
  name: string,
  argument: string | undefined,
  warn: (message: string) => void,
): Sampler | null {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratioOf(argument, warn));
    default:
      return null;
  }
}

function ratioOf(text: string | undefined, warn: (message: string) => void): number {
  const ratio = text ? Number(text) : Number.NaN;
  if (ratio >= 0 && ratio <= 1) return ratio;
  warn(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1: 1 is used`);
  return 1;
}
