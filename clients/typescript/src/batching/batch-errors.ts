/** What the error of a Batch means for each mutation in it. */
import { status } from '@grpc/grpc-js';

/** Codes that each mutation alone would have ended with as well: they are not about what the Batch carries. */
const OF_EVERY_MUTATION: ReadonlySet<unknown> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.UNAUTHENTICATED,
]);

type Coded = { readonly code?: unknown; readonly reason?: unknown };

/**
 * False: each mutation is sent alone, and gets its own error. The others may have failed because of one of them,
 * or because of their number. A RESOURCE_EXHAUSTED of the service has a reason; one without is about the size of
 * the response.
 */
export function isOfEveryMutation(error: unknown): boolean {
  const { code, reason } = error as Coded;
  return OF_EVERY_MUTATION.has(code) || (code === status.RESOURCE_EXHAUSTED && Boolean(reason));
}

/** Whether the caller may send no Batch at all, or the service has none. */
export function isBatchRefused(error: unknown): boolean {
  const { code } = error as Coded;
  return code === status.PERMISSION_DENIED || code === status.UNIMPLEMENTED;
}
