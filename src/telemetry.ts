/**
 * OpenTelemetry, configured by its standard OTEL_* variables. Nothing is exported unless one of them
 * names an exporter. Trace and span ids are made in any case, because every entry of the ledger has them.
 */
import { type Context, SamplingDecision } from '@opentelemetry/api';
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';

const { env } = process;
const exporting = [
  env['OTEL_EXPORTER_OTLP_ENDPOINT'],
  env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
  env['OTEL_TRACES_EXPORTER'],
].some((value) => value !== undefined && value !== '' && value !== 'none');
const otlp = (env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '') !== '';

// Without an endpoint the SDK would try a collector on localhost, and log that there is none.
if (!otlp) {
  env['OTEL_METRICS_EXPORTER'] ??= 'none';
  env['OTEL_LOGS_EXPORTER'] ??= 'none';
}

/** Makes ids and passes on the caller's trace context, but records no spans: they cost more. */
const idsOnly: Partial<NodeSDKConfiguration> = {
  sampler: {
    shouldSample: (_context: Context) => ({ decision: SamplingDecision.NOT_RECORD }),
    toString: () => 'ids only',
  },
  spanProcessors: [
    { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} },
  ],
};

export const telemetry = new NodeSDK({
  serviceName: env['OTEL_SERVICE_NAME'] ?? 'scrip',
  ...(exporting ? {} : idsOnly),
});
telemetry.start();
