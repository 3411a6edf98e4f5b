/** A gRPC server whose answers to Charge are a script: what a replica, or a proxy before it, can say. */
import { Metadata, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { ChargeRequest, ChargeResponse } from '../../clients/typescript/src/index.ts';
import { Failure, type Reason, RetryLater } from '../../src/failure.ts';
import { toServiceError } from '../../src/rpc/call/status.ts';

/** An error, an answer of so many credits, or none at all. */
export type Answer = Partial<ServiceError> | bigint | 'silence';

export type Received = {
  readonly request: ChargeRequest;
  readonly metadata: Metadata;
  /** Answers what the script left in silence. */
  readonly answer: (answer: Exclude<Answer, 'silence'>) => void;
};

export const refusal = (reason: Reason, metadata: Record<string, string> = {}): ServiceError =>
  toServiceError(new Failure(reason, reason, metadata));

export const retryLater = (reason: Reason, afterMs: number): ServiceError =>
  toServiceError(new RetryLater(reason, reason, {}, afterMs));

/** An error without details, as a proxy or grpc-js makes it. */
export const bare = (code: status): Partial<ServiceError> => ({
  code,
  details: status[code],
  metadata: new Metadata(),
});

export class ScriptedService {
  readonly #server = new Server();
  /** The answers to come. The last is repeated. */
  script: Answer[] = [];
  readonly received: Received[] = [];

  async start(): Promise<string> {
    this.#server.addService(
      {
        charge: {
          path: '/billing.v1.BillingService/Charge',
          requestStream: false,
          responseStream: false,
          requestSerialize: (request: ChargeRequest) =>
            Buffer.from(ChargeRequest.encode(request).finish()),
          requestDeserialize: (bytes: Buffer) => ChargeRequest.decode(bytes),
          responseSerialize: (response: ChargeResponse) =>
            Buffer.from(ChargeResponse.encode(response).finish()),
          responseDeserialize: (bytes: Buffer) => ChargeResponse.decode(bytes),
        },
      },
      {
        charge: (
          { request, metadata }: Pick<Received, 'request' | 'metadata'>,
          end: (error: Partial<ServiceError> | null, response?: ChargeResponse) => void,
        ) => {
          const answer: Received['answer'] = (given) => {
            if (typeof given === 'bigint')
              end(null, ChargeResponse.fromPartial({ credits: given }));
            else end(given);
          };
          this.received.push({ request, metadata, answer });
          const next = this.script.length > 1 ? this.script.shift() : this.script[0];
          if (next !== 'silence') answer(next ?? bare(status.UNKNOWN));
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    return `127.0.0.1:${port}`;
  }

  stop() {
    this.#server.forceShutdown();
  }
}
