/** What the client adds to a mutation whose caller left it out. */
import { randomUUID } from 'node:crypto';
import type { BatchRequest } from './gen/billing/v1/billing_service.ts';
import type { Route } from './method.ts';

type Mutation = { requestId: string; notAfter: Date | undefined };

/** A request that arrives so much later than the deadline of its call has no effect. */
const AFTER_DEADLINE_MS = 60_000;

/** The mutations that a request holds: itself, or those of a Batch. */
function mutationsOf<Request>(
  { name, options }: Route<Request, unknown>,
  request: Request,
): readonly Mutation[] {
  if (options.idempotencyLevel !== 'IDEMPOTENT') return [];
  if (name === 'Batch')
    return (request as BatchRequest).mutations.flatMap(({ mutation }) => mutation?.value ?? []);
  return isMutation(request) ? [request] : [];
}

const isMutation = (request: unknown): request is Mutation =>
  typeof request === 'object' &&
  request !== null &&
  'requestId' in request &&
  'notAfter' in request;

export type Stamped = {
  /** That of the mutation; undefined for a read and for a Batch. */
  readonly requestId: string | undefined;
  /** Sets `notAfter` again, where the caller gave none; the service's time became known. False: nothing changed. */
  readonly renew: (deadlineAtService: number) => boolean;
};

/** Gives each mutation a request id and a `notAfter`. Times in milliseconds since 1970, by the service's clock. */
export function stamp<Request>(
  route: Route<Request, unknown>,
  request: Request,
  deadlineAtService: number,
): Stamped {
  const mutations = mutationsOf(route, request);
  for (const mutation of mutations)
    if (mutation.requestId === '') mutation.requestId = randomUUID();
  const unlimited = mutations.filter(({ notAfter }) => notAfter === undefined);
  const renew = (deadline: number) => {
    // A call without a deadline has no limit either.
    if (!Number.isFinite(deadline)) return false;
    for (const mutation of unlimited) mutation.notAfter = new Date(deadline + AFTER_DEADLINE_MS);
    return unlimited.length > 0;
  };
  renew(deadlineAtService);
  const [only] = route.name === 'Batch' ? [] : mutations;
  return { requestId: only?.requestId, renew };
}
