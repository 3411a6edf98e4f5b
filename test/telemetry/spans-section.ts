/** The sections on spans and log lines of docs/telemetry.md, from the tables in src/telemetry. */
import { SpanKind } from '@opentelemetry/api';
import { ATTRIBUTES, type AttributeName, SCHEMA_URL } from '../../src/telemetry/attributes.ts';
import { SPANS } from '../../src/telemetry/spans.ts';

type Definition = {
  readonly type: string;
  readonly meaning: string;
  readonly isOfLogs?: true;
};
type Span = {
  readonly kind: SpanKind;
  readonly meaning: string;
  readonly parent: string;
  readonly links?: string;
  readonly named?: string;
  readonly attributes: readonly AttributeName[];
};

const attributes: readonly (readonly [string, Definition])[] = Object.entries(ATTRIBUTES);
const spans: readonly (readonly [string, Span])[] = Object.entries(SPANS);

export const spansSection = (): string =>
  [
    '## Spans',
    '',
    `The scope is \`scrip\`, with the version of the service and the schema \`${SCHEMA_URL}\`. A span has the attributes that are known and`,
    'apply. A refusal is no error: only faults of the service, or of what it calls, have the status ERROR and `error.type`.',
    '',
    '| span | kind | parent | links | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...spans.map(([name, span]) =>
      cells(
        span.named ? `(${span.named})` : `\`${name}\``,
        SpanKind[span.kind],
        span.parent,
        span.links ?? '',
        span.meaning,
      ),
    ),
    '',
    '### Attributes of spans',
    '',
    '| attribute | type | on | meaning |',
    '| --- | --- | --- | --- |',
    ...attributes
      .filter(([, { isOfLogs }]) => !isOfLogs)
      .map(([name, { type, meaning }]) => cells(`\`${name}\``, type, spansOf(name), meaning)),
    '',
  ].join('\n');

export const logsSection = (): string =>
  [
    '## Log lines of calls',
    '',
    'A call has one line. It is `call failed` for a fault and `call refused` for a refusal, both at `info`, at most 200 and 10 a second for each',
    'reason; all others are `call`, at `debug`. A refused mutation of a Batch has a line of its own. Lines have the attributes of the span of the call',
    'under the same names, `trace_id` and `span_id`, `detail` (what the caller was told), and these:',
    '',
    '| attribute | type | meaning |',
    '| --- | --- | --- |',
    ...attributes
      .filter(([, { isOfLogs }]) => isOfLogs)
      .map(([name, { type, meaning }]) => cells(`\`${name}\``, type, meaning)),
    '',
  ].join('\n');

const spansOf = (attribute: string): string =>
  spans
    .filter(([, span]) => (span.attributes as readonly string[]).includes(attribute))
    .map(([name]) => (name === 'rpc' ? 'calls' : name === 'stripe' ? 'calls of Stripe' : name))
    .join(', ');

const cells = (...texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
