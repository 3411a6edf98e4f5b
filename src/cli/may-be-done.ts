/** Whether a call that has failed may have had an effect all the same. */
import { type Metadata, status } from '@grpc/grpc-js';
import type { ScripError } from '../client.ts';

/** Statuses of calls that nothing has answered. */
const UNANSWERED: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
]);

/** What does not come from the service has no reason. */
export const isUnanswered = ({ code, reason }: ScripError): boolean =>
  reason === '' && UNANSWERED.has(code);

/** Reasons of a service that does not know itself what became of a call. */
const UNKNOWN_OUTCOMES: ReadonlySet<string> = new Set([
  'DATABASE_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'PAYMENT_PROVIDER_UNAVAILABLE',
]);

export const mayBeDone = (error: ScripError): boolean =>
  UNKNOWN_OUTCOMES.has(error.reason) || (isUnanswered(error) && !wasNeverSent(error));

/** What grpc-js says of a call for which it had no connection. */
const NEVER_SENT =
  /^(?:\w+: )?No connection established|^Name resolution failed for target |^Deadline exceeded after .*waiting for (?:name resolution|metadata filters|LB pick)$/i;

/** What comes over a connection has metadata: a proxy may say the same of its own connections. */
function wasNeverSent({ message, cause }: ScripError): boolean {
  const { metadata } = cause as { readonly metadata?: Metadata };
  return NEVER_SENT.test(message) && Object.keys(metadata?.getMap() ?? {}).length === 0;
}
