/** A stream of the service, opened once. */
import type { Client, ServiceError } from '@grpc/grpc-js';
import { requestMetadata } from './attempt.ts';
import type { WithCaller } from './channel.ts';
import { ofServiceError } from './errors.ts';
import type { OpenStream } from './services.ts';

const asIs = (bytes: Buffer): Buffer => bytes;

export const streamOver = (client: Client, withCaller: WithCaller): OpenStream =>
  async function* (route, request, { timeoutMs, signal, metadata, traceparent }) {
    const bytes = Buffer.from(route.requestType.encode(request).finish());
    const deadline = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    const call = client.makeServerStreamRequest(
      route.path,
      asIs,
      asIs,
      bytes,
      await withCaller(requestMetadata({ metadata, traceparent }), { deadline, signal }),
      timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
    );
    const abort = () => call.cancel();
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    try {
      for await (const message of call) yield route.responseType.decode(message as Buffer);
    } catch (error) {
      throw ofServiceError(error as ServiceError);
    } finally {
      signal?.removeEventListener('abort', abort);
      call.cancel();
    }
  };
