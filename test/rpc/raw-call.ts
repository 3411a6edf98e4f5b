/** Calls with bytes as request and response, for what generated clients hide, such as the order of a map. */
import { type CallOptions, Metadata } from '@grpc/grpc-js';
import { ScripError } from '../../src/client.ts';
import type { TestService } from '../service.ts';

export type RawAnswer = { readonly bytes: Buffer; readonly trailers: Metadata };

const identity = (bytes: Buffer): Buffer => bytes;

/** `path` is the path of the method, such as "/billing.v1.BillingService/Charge". */
export async function callRaw(
  { channel }: Pick<TestService, 'channel'>,
  path: string,
  request: Uint8Array,
  options: CallOptions = {},
  headers = new Metadata(),
): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const call = channel.makeUnaryRequest(
      path,
      identity,
      identity,
      Buffer.from(request),
      headers,
      options,
      (error, response) => {
        if (error) reject(new ScripError(error));
        else bytes = response ?? bytes;
      },
    );
    // The trailers arrive with the status, after the response.
    call.on('status', ({ code, metadata }) => {
      if (code === 0) resolve({ bytes, trailers: metadata });
    });
  });
}
