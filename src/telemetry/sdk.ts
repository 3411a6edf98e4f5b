/**
 * OpenTelemetry, configured by its standard OTEL_* variables. Nothing is exported unless one of them
 * names an exporter. Trace and span ids are made in any case, also where OTEL_SDK_DISABLED is true, because every
 * entry of the ledger has them.
 */
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { ID_SAMPLER, linkedSampler, samplerOf } from './sampler.ts';
import { VERSION } from './version.ts';

const { env } = process;
const isDisabled = env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true';
// A disabled SDK would make no ids, and forget those of callers.
delete env['OTEL_SDK_DISABLED'];

const exporting =
  !isDisabled &&
  [
    env['OTEL_EXPORTER_OTLP_ENDPOINT'],
    env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
    env['OTEL_TRACES_EXPORTER'],
  ].some((value) => value !== undefined && value !== '' && value !== 'none');
const otlp = !isDisabled && (env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '') !== '';

// Without an endpoint the SDK would try a collector on localhost, and log that there is none.
if (!otlp) env['OTEL_LOGS_EXPORTER'] = isDisabled ? 'none' : (env['OTEL_LOGS_EXPORTER'] ?? 'none');
// Metrics are exported by metric-exports.ts, which reads the same variables.
if (isDisabled) env['OTEL_METRICS_EXPORTER'] = 'none';
// Not baggage: the service passes on none of it.
env['OTEL_PROPAGATORS'] ??= 'tracecontext';
// Those that the operator sets come later, and count.
env['OTEL_RESOURCE_ATTRIBUTES'] = [
  `service.version=${encodeURIComponent(VERSION)}`,
  env['OTEL_RESOURCE_ATTRIBUTES'],
]
  .filter(Boolean)
  .join(',');

const idsOnly: Partial<NodeSDKConfiguration> = {
  sampler: ID_SAMPLER,
  spanProcessors: [
    { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} },
  ],
};

/** What is wrong with the variables, to be logged once there is a log. */
export const telemetryWarnings: string[] = [];

export const telemetry = new NodeSDK({
  serviceName: env['OTEL_SERVICE_NAME'] ?? 'scrip',
  metricReaders: [],
  ...(exporting
    ? { sampler: linkedSampler(samplerOf(env, (warning) => telemetryWarnings.push(warning))) }
    : idsOnly),
});
telemetry.start();
