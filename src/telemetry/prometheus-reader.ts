/** The present values of all metrics, in Prometheus' text format. */
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import { withPresentGauges } from './present-gauges.ts';
import { unitSuffix } from './prometheus-names.ts';

export class PrometheusReader extends MetricReader {
  /** Without the scope: all metrics have the same. */
  readonly #serializer = new PrometheusSerializer('', false, undefined, false, true);

  constructor() {
    super({
      aggregationTemporalitySelector: withPresentGauges(() => AggregationTemporality.CUMULATIVE),
    });
  }

  /** The metrics as they are, since the start. */
  async readMetrics(): Promise<readonly MetricData[]> {
    const { resourceMetrics } = await this.collect();
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  }

  async read(): Promise<string> {
    const { resourceMetrics } = await this.collect();
    const scopeMetrics = resourceMetrics.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map(withUnit),
    }));
    return this.#serializer.serialize({ ...resourceMetrics, scopeMetrics });
  }

  protected override async onForceFlush() {}

  protected override async onShutdown() {}
}

/** The serializer leaves the unit out of names, which collectors put there. */
function withUnit(metric: MetricData): MetricData {
  const { name, unit } = metric.descriptor;
  const kind = metric.dataPointType === DataPointType.GAUGE ? 'gauge' : 'histogram';
  const suffix = unitSuffix({ kind, unit });
  return { ...metric, descriptor: { ...metric.descriptor, name: `${name}${suffix}`, unit: '' } };
}
