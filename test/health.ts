/** Asks grpc.health.v1 of a service. */
import { service as healthService } from 'grpc-health-check';
import { defined } from './accounts.ts';
import type { TestService } from './service.ts';

/** SERVING or NOT_SERVING, of a gRPC service or, without a name, of the replica. */
export async function healthOf({ channel }: TestService, service = ''): Promise<unknown> {
  const { path, requestSerialize, responseDeserialize } = defined(healthService['Check']);
  return await new Promise((resolve, reject) => {
    channel.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
      (error, response) => {
        if (error) reject(error);
        else resolve(response && 'status' in response ? response.status : undefined);
      },
    );
  });
}
