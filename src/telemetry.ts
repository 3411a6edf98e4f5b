/**
 * OpenTelemetry, loaded before anything else (`node --import ./src/telemetry.ts`) and configured by
 * the standard OTEL_* variables. Nothing is exported unless one of them says where to; trace and
 * span ids are made all the same, because every entry of the ledger carries them.
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

// Without an endpoint the SDK would look for a collector on localhost and complain of its absence.
if (!otlp) {
  env['OTEL_METRICS_EXPORTER'] ??= 'none';
  env['OTEL_LOGS_EXPORTER'] ??= 'none';
}

/** Ids and the caller's trace context, but no spans: a third of the cost of recording them. */
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
