/** Calls over HTTP/2 by hand: with frames and request metadata that no client library would send. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { expect } from 'vitest';
import { StreamHistoryRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { decodeError, type RpcError } from '../rpc-error.ts';
import type { TestService } from '../service.ts';

export type Http2Call = {
  /** Such as "/billing.v1.BillingService/Charge". */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  /** What is sent of the body. */
  readonly body?: Uint8Array;
  /** Whether the body ends after that. */
  readonly ends?: boolean;
};

/** A message with its prefix: whether it is compressed, and its size. */
export function frame(message: Uint8Array, compressed = 0, size = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed, 0);
  prefix.writeUInt32BE(size, 1);
  return Buffer.concat([prefix, message]);
}

/** Calls StreamHistory of an account. grpc-js would read messages from the connection before its reader asks for them. */
export function callStreamHistory(
  session: ClientHttp2Session,
  accountId: string,
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/billing.v1.BillingService/StreamHistory',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const request = StreamHistoryRequest.fromPartial({ accountId });
  stream.end(frame(StreamHistoryRequest.encode(request).finish()));
  return stream;
}

/** The headers or trailers that have the status of the call. */
export async function callHttp2(
  { service }: Pick<TestService, 'service'>,
  { path, headers = {}, body = frame(new Uint8Array()), ends = true }: Http2Call,
): Promise<IncomingHttpHeaders> {
  const session = connect(`http://127.0.0.1:${service.port}`);
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    // Written to after the service has answered.
    stream.on('error', () => {});
    stream.write(body);
    if (ends) stream.end();
    const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    if (received['grpc-status'] !== undefined) return received;
    stream.resume();
    const [trailers] = (await once(stream, 'trailers')) as [IncomingHttpHeaders];
    return trailers;
  } finally {
    session.destroy();
  }
}

/** The error of a call that must fail. */
export async function http2ErrorOf(
  service: Pick<TestService, 'service'>,
  call: Http2Call,
): Promise<RpcError> {
  const {
    'grpc-status': code,
    'grpc-message': message,
    ...others
  } = await callHttp2(service, call);
  const details = others['grpc-status-details-bin'];
  if (typeof details !== 'string') return expect.fail(`no details came with ${code}: ${message}`);
  return decodeError(Number(code), decodeURI(String(message)), Buffer.from(details, 'base64'));
}
