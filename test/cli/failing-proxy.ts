/** A proxy before a service that passes some calls of one method on, and then answers as if no service were there. */
import {
  Client,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';

const unchanged = (bytes: Buffer): Buffer => bytes;

export type FailingProxy = {
  readonly address: string;
  readonly stop: () => void;
};

/** `path` such as "/billing.v1.BillingService/Charge". `change` may write another request; `details` is what it answers. */
export async function failAfter(
  calls: number,
  path: string,
  address: string,
  change: (request: Buffer) => Buffer = unchanged,
  details = 'it has stopped',
): Promise<FailingProxy> {
  const client = new Client(address, credentials.createInsecure());
  const server = new Server();
  let left = calls;
  server.addService(
    {
      method: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: unchanged,
        requestDeserialize: unchanged,
        responseSerialize: unchanged,
        responseDeserialize: unchanged,
      },
    },
    {
      method: (
        { request, metadata }: { readonly request: Buffer; readonly metadata: Metadata },
        end: (error: Partial<ServiceError> | null, response?: Buffer) => void,
      ) => {
        if (left-- > 0)
          client.makeUnaryRequest(path, unchanged, unchanged, change(request), metadata, end);
        else end({ code: status.UNAVAILABLE, details });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    address: `127.0.0.1:${port}`,
    stop() {
      server.forceShutdown();
      client.close();
    },
  };
}
