/** What the services work with, and the handler every mutation shares. */
import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { StoredResponse } from '../lanes/task.ts';
import type { Payments } from '../payments/payments.ts';
import type { Em } from '../pg/orm.ts';
import type { Snapshots } from '../queries/account-snapshots.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { StatementCloser } from '../sweeper/statement-closer.ts';
import type { HistoryContext } from './billing-service/history.ts';
import { type CallContext, type Caller, unary } from './call/handler.ts';
import type { Prepare, Prepared } from './call/mutation.ts';
import type { EventStreamContext } from './event-service/event-stream.ts';

export type ServiceContext = CallContext &
  HistoryContext &
  EventStreamContext & {
    readonly em: () => Em;
    readonly clock: Clock;
    readonly catalogue: Catalogue;
    readonly lanes: Lanes;
    readonly statements: StatementCloser;
    readonly snapshots: Snapshots;
    /** Null where no payment provider is configured. */
    readonly payments: Payments | null;
  };

/** Hands a prepared mutation to its account's lane. */
export function submit(
  { lanes }: ServiceContext,
  { accountId, requestId, command, fingerprint, encodeResponse }: Prepared,
  caller: Caller,
  isAbandoned: () => boolean,
): Promise<StoredResponse | Failure> {
  return lanes.submit({
    type: 'request',
    accountId,
    command,
    origin: { ...caller, requestId },
    fingerprint,
    encodeResponse,
    isAbandoned,
  });
}

export function mutationHandler<Request, Response>(
  context: ServiceContext,
  method: string,
  prepare: Prepare<Request>,
) {
  return unary(
    context,
    method,
    async (request: Request, caller, call: ServerUnaryCall<Request, Response>) => {
      const prepared = prepare(request);
      if (prepared instanceof Failure) return prepared;
      return await submit(context, prepared, caller, () => call.cancelled);
    },
  );
}
