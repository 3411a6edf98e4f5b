/** What was thrown while a call was served, as the Failure that its caller is told. */
import { Failure, internalFailure } from '../../failure.ts';
import { toDatabaseFailure } from '../../pg/failures.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import type { SharedContext } from '../service-context.ts';

/** An error that is neither a Failure nor the database's is a bug: it is logged and not sent. */
export function failureOf(
  error: unknown,
  { log }: Pick<SharedContext, 'log'>,
  { method, methodOriginal, traceId, spanId }: CallRecord,
): Failure {
  const failure = error instanceof Failure ? error : toDatabaseFailure(error);
  if (failure) return failure;
  log.error(
    { err: error, method: methodOriginal || method, trace_id: traceId, span_id: spanId },
    'bug',
  );
  return internalFailure(traceId);
}
