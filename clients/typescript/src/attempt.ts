/**
 * One attempt of a call: the request is sent once. What repeats attempts is `call.ts`; what sends several
 * in one Batch is `batching/`, an Attempt in front of this one.
 */
import { type Client, Metadata } from '@grpc/grpc-js';
import type { WithCaller } from './channel.ts';
import { ofServiceError } from './errors.ts';
import type { Route } from './method.ts';
import type { ServiceClock } from './service-clock.ts';

export type AttemptOptions = {
  /** When the attempt must have ended, by `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** Request metadata of the caller. */
  readonly metadata: Metadata | undefined;
  readonly traceparent: string | undefined;
};

/** Rejects with a ScripError. The request is complete: it has its request id and its `notAfter`. */
export type Attempt = <Request, Response>(
  route: Route<Request, Response>,
  request: Request,
  options: AttemptOptions,
) => Promise<Response>;

/** Bytes as they are: messages are encoded and decoded here, where an error of them is not one of the connection. */
const asIs = (bytes: Buffer): Buffer => bytes;

export const attemptOver =
  (client: Client, clock: ServiceClock, withCaller: WithCaller): Attempt =>
  async (route, request, options) => {
    const bytes = route.requestType.encode(request).finish();
    const answer = await answerTo(
      client,
      clock,
      route.path,
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      await withCaller(requestMetadata(options), options),
      options,
    );
    return route.responseType.decode(answer);
  };

export function requestMetadata({
  metadata,
  traceparent,
}: Pick<AttemptOptions, 'metadata' | 'traceparent'>): Metadata {
  const sent = metadata?.clone() ?? new Metadata();
  if (traceparent !== undefined) sent.set('traceparent', traceparent);
  return sent;
}

function answerTo(
  client: Client,
  clock: ServiceClock,
  path: string,
  bytes: Buffer,
  metadata: Metadata,
  { deadline, signal }: AttemptOptions,
): Promise<Buffer> {
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      path,
      asIs,
      asIs,
      bytes,
      metadata,
      { deadline: Date.now() + (deadline - sentAt) },
      (error, answer) => {
        signal?.removeEventListener('abort', abort);
        if (error) reject(ofServiceError(error));
        else resolve(answer as Buffer);
      },
    );
    call.on('status', (status) => clock.learnFrom(status.metadata, sentAt));
    const abort = () => call.cancel();
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
  });
}
