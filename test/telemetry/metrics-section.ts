/** The section "Metrics" of docs/telemetry.md, from the table in src/telemetry/metrics.ts. */
import {
  COUNTED_MAX,
  METRIC_ATTRIBUTES,
  METRICS,
  type Metric,
  type MetricAttribute,
} from '../../src/telemetry/metrics.ts';
import { prometheusName, toLabel } from '../../src/telemetry/prometheus-names.ts';

export const metricsSection = (): string =>
  [
    '## Metrics',
    '',
    'By OTLP they have these names. The second name is that of Prometheus; a histogram has it with `_bucket`, `_sum` and `_count`. Units are in',
    '[UCUM](https://ucum.org). Counters whose attributes have listed values begin with 0. Beside them Prometheus gets `target_info`, with the',
    `attributes of the resource. Gauges of the ledger count ${COUNTED_MAX.toLocaleString('en')} rows at most.`,
    '',
    '| metric, name in Prometheus | kind, unit | attributes | meaning |',
    '| --- | --- | --- | --- |',
    ...Object.entries(METRICS).map(([name, metric]) => metricRow(name, metric)),
    '',
    '### Attributes of metrics',
    '',
    'No metric has an account, a caller or a request.',
    '',
    '| attribute, label in Prometheus | values |',
    '| --- | --- |',
    ...Object.entries(METRIC_ATTRIBUTES).map(([name, attribute]) => attributeRow(name, attribute)),
    '',
  ].join('\n');

function metricRow(name: string, metric: Metric): string {
  const { kind, unit, attributes, buckets, meaning } = metric;
  const range = buckets ? `, buckets ${buckets[0]} to ${buckets.at(-1)}` : '';
  return cells(
    `\`${name}\`, \`${prometheusName(name, metric)}\``,
    `${kind}, \`${unit}\`${range}`,
    attributes.map((attribute) => `\`${attribute}\``).join(', '),
    meaning,
  );
}

function attributeRow(name: string, { meaning, values }: MetricAttribute): string {
  const listed = values?.map((value) => `\`${value}\``).join(', ');
  return cells(`\`${name}\`, \`${toLabel(name)}\``, [meaning, listed].filter(Boolean).join(': '));
}

const cells = (...texts: string[]): string => `| ${texts.join(' | ')} |`;
