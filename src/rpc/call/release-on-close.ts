/**
 * Releases what a unary call refers to when its stream closes.
 *
 * Node gives every writable stream a function of its own (`this.onwrite = …`). V8 allocates a function
 * that is assigned to a property in the old generation, expecting a method that lives long. So the
 * stream, and all it refers to, is retained until the next full collection, long after the call has
 * ended. grpc-js makes two such streams per unary call: the HTTP/2 stream, and the call object that
 * it gives to the handler. Without references from them to the request, the metadata and the
 * listeners, those are collected with the young generation.
 */
import type { Http2Stream } from 'node:http2';
import type { ServerUnaryCall } from '@grpc/grpc-js';

/** The references of a grpc-js call; the types of grpc-js declare `call` private. */
type References = {
  call: { readonly stream?: Http2Stream } | null;
  request: unknown;
  metadata: unknown;
};

const ignore = () => {};

/** After the stream has closed, `cancelled` is the only property of the call that may be read. */
export function releaseReferencesOnClose<Request, Response>(
  call: ServerUnaryCall<Request, Response>,
) {
  const references = call as unknown as References;
  const stream = references.call?.stream;
  stream?.once('close', () => {
    stream.removeAllListeners().on('error', ignore);
    references.call = null;
    references.request = null;
    references.metadata = null;
  });
}
