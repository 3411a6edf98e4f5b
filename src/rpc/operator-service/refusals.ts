/** ListRefusals: the calls that failed last on this replica. */
import type { Failure } from '../../failure.ts';
import {
  type ListRefusalsRequest,
  type ListRefusalsResponse,
  Refusal,
} from '../../gen/billing/v1/operator_service.ts';
import { mapOf } from '../../map-of.ts';
import { isIdInScope, needsAccount } from '../../policy/account-scope.ts';
import { findIdsInScope } from '../../queries/accounts.ts';
import { type Access, ownerOf } from '../call/access.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import type { RecentRefusal } from '../call/recent-refusals.ts';
import { shorten } from '../call/shorten.ts';
import { traceUrl } from '../messages/charge.ts';
import type { ServiceContext } from '../service-context.ts';

const NUMBER = /^[1-9]\d{0,14}$/;

export async function listRefusals(
  context: ServiceContext,
  request: ListRefusalsRequest,
  { access }: UnaryCall,
): Promise<ListRefusalsResponse> {
  const { accountId, caller, reason, method } = request;
  const { recentRefusals, traceUrlTemplate } = context;
  const check = new FieldChecker();
  if (accountId) check.accountId(accountId);
  check.text('caller', caller, 256);
  check.text('reason', reason, 64);
  check.text('method', method, 128);
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  const list = ['refusals', recentRefusals.replicaId, accountId, caller, reason, method];
  const before = Number(decodePageToken(list, request.pageToken, NUMBER) ?? Number.MAX_VALUE);
  const isAskedFor = (refusal: RecentRefusal): boolean =>
    refusal.number < before &&
    (accountId === '' || refusal.accountId === accountId) &&
    (caller === '' || refusal.caller === caller) &&
    (reason === '' || refusal.failure.reason === reason) &&
    (method === '' || nameOf(refusal) === method || refusal.method === method);
  const found = recentRefusals.newestFirst().filter(isAskedFor);
  const { messages, nextPageToken } = toPage(
    await visibleTo(context, access, found),
    pageSize,
    Refusal,
    (refusal) => refusalMessage(refusal, traceUrlTemplate),
    ({ number }) => encodePageToken(list, String(number)),
  );
  return {
    refusals: messages,
    nextPageToken,
    replicaId: recentRefusals.replicaId,
    since: new Date(recentRefusals.since),
    dropped: BigInt(recentRefusals.dropped),
  };
}

/** The method without its service. */
const nameOf = ({ method }: RecentRefusal): string => method.slice(method.lastIndexOf('/') + 1);

/** A caller that may not see every account sees nothing of calls whose account is not known. */
async function visibleTo(
  { cells }: ServiceContext,
  access: Access,
  refusals: readonly RecentRefusal[],
): Promise<readonly RecentRefusal[]> {
  const { accounts: scope } = access.permissions;
  const owner = ownerOf(access);
  const own = refusals.filter(({ caller }) => owner === null || caller === owner);
  if (scope === null) return own;
  const candidates = own.filter(
    ({ accountId }) => accountId !== '' && isIdInScope(scope, accountId),
  );
  if (!needsAccount(scope)) return candidates;
  const idsOf = Map.groupBy(new Set(candidates.map(({ accountId }) => accountId)), (accountId) =>
    cells.nameOf(accountId),
  );
  // What is not known of accounts whose cell is down is not shown.
  const found = await Promise.all(
    cells.reachable().map(({ cell, em }) => findIdsInScope(em(), scope, idsOf.get(cell) ?? [])),
  );
  const visible = new Set(found.flat());
  return candidates.filter(({ accountId }) => visible.has(accountId));
}

const refusalMessage = (refusal: RecentRefusal, template: string | undefined): Refusal => ({
  at: new Date(refusal.at),
  method: refusal.method,
  caller: refusal.caller,
  onBehalfOf: refusal.onBehalfOf,
  accountId: refusal.accountId,
  requestId: refusal.requestId,
  reservationId: refusal.reservationId,
  ...toldBy(refusal.failure),
  traceId: refusal.traceId,
  spanId: refusal.spanId,
  traceUrl: traceUrl(template, refusal),
});

const MESSAGE_MAX = 1_000;

const toldBy = ({ reason, message, metadata }: Failure) => ({
  reason,
  message:
    message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX).toWellFormed()}…` : message,
  metadata: mapOf(
    Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, shorten(value)])),
  ),
});
