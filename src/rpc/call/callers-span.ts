/** The span that a caller makes its call in, as OpenTelemetry reads it. */
import type { IncomingHttpHeaders } from 'node:http2';
import type { Metadata } from '@grpc/grpc-js';
import { propagation, ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api';
import type { Parent } from '../../telemetry/tracing.ts';

export const callersSpan = (metadata: Metadata): Parent =>
  propagation.extract(ROOT_CONTEXT, metadata, metadataGetter);

/** The same, before the headers are made into metadata. */
export const callersSpanOf = (headers: IncomingHttpHeaders): Parent =>
  propagation.extract(ROOT_CONTEXT, headers);

const metadataGetter: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key).map(String),
  keys: (metadata) => Object.keys(metadata.getMap()),
};
