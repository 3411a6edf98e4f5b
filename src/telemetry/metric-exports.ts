/**
 * Where metrics go: to a collector by OTLP, as the standard OTEL_* variables say, and to whoever asks for them
 * in Prometheus' format. Without either nothing is measured.
 */
import { createNoopMeter, type Meter } from '@opentelemetry/api';
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  type IMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { withPresentGauges } from './present-gauges.ts';
import { PrometheusReader } from './prometheus-reader.ts';

export type MetricExports = {
  /** Does nothing where metrics go nowhere. */
  readonly meter: Meter;
  /** Whether they go anywhere. */
  readonly isOn: boolean;
  /** Null where nobody can ask for them. */
  readonly prometheus: PrometheusReader | null;
  /** Exports what was measured since the last export. Rejects if the collector does not take it. */
  stop(): Promise<void>;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** OpenTelemetry's defaults. */
const EXPORT_INTERVAL_MS = 60_000;
const EXPORT_TIMEOUT_MS = 30_000;

export function startMetricExports(env: Environment, withPrometheus: boolean): MetricExports {
  const prometheus = withPrometheus ? new PrometheusReader() : null;
  const otlp = createOtlpReader(env);
  const readers: IMetricReader[] = [prometheus, otlp].filter((reader) => reader !== null);
  if (readers.length === 0)
    return { meter: createNoopMeter(), isOn: false, prometheus: null, stop: async () => {} };
  const provider = new MeterProvider({ readers, resource: createResource(env) });
  return {
    meter: provider.getMeter('scrip'),
    isOn: true,
    prometheus,
    stop: () => provider.shutdown(),
  };
}

const createResource = (env: Environment) =>
  resourceFromAttributes({ 'service.name': 'scrip' })
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(
      resourceFromAttributes(
        env['OTEL_SERVICE_NAME'] ? { 'service.name': env['OTEL_SERVICE_NAME'] } : {},
      ),
    );

/** Null unless a variable names an endpoint or asks for it: there may be no collector on this host. */
function createOtlpReader(env: Environment): IMetricReader | null {
  const exporters = env['OTEL_METRICS_EXPORTER'];
  const hasEndpoint =
    env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'];
  if (exporters ? !exporters.split(',').includes('otlp') : !hasEndpoint) return null;
  const exportIntervalMillis = Number(env['OTEL_METRIC_EXPORT_INTERVAL']) || EXPORT_INTERVAL_MS;
  const exportTimeoutMillis = Math.min(
    exportIntervalMillis,
    Number(env['OTEL_METRIC_EXPORT_TIMEOUT']) || EXPORT_TIMEOUT_MS,
  );
  const exporter = createExporter(
    env['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'],
  );
  exporter.selectAggregationTemporality = withPresentGauges(
    exporter.selectAggregationTemporality.bind(exporter),
  );
  return new PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis });
}

function createExporter(protocol: string | undefined) {
  if (protocol === 'grpc') return new GrpcExporter();
  return protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter();
}
