/** Answers a call without grpc-js: a status and no message. */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServiceError } from '@grpc/grpc-js';

/** The error as HTTP/2 sends it. */
export const toHeaders = ({ code, details, metadata }: ServiceError): OutgoingHttpHeaders => ({
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-status': String(code),
  'grpc-message': encodeURI(details),
  ...(metadata ?? new Metadata()).toHttp2Headers(),
});

export function answerWith(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders) {
  stream.respond(headers, { endStream: true });
  // What the caller still sends is read and dropped, or the stream would not end.
  stream.on('error', ignore).resume();
}

const ignore = () => {};
