/** SetShadowMode and ListShadowDecisions. */
import { canonicalJson } from '../../canonical.ts';
import {
  type ListShadowDecisionsRequest,
  type ListShadowDecisionsResponse,
  SetShadowModeRequest,
  SetShadowModeResponse,
  ShadowDecision as ShadowDecisionMessage,
} from '../../gen/billing/v1/account_service.ts';
import { Entry_Kind } from '../../gen/billing/v1/ledger.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { mapOf } from '../../map-of.ts';
import type { Em } from '../../pg/orm.ts';
import { findAccount } from '../../queries/accounts.ts';
import { compareIdsAs } from '../../queries/order-of-ids.ts';
import { findShadowDecisions } from '../../queries/shadow-decisions.ts';
import type { StoredShadowDecision } from '../../store/tables/shadows.ts';
import { ownerOf } from '../call/access.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCell } from '../call/in-cell.ts';
import { mergedPage, toCellPage } from '../call/merged-pages.ts';
import { defineMutation } from '../call/mutation.ts';
import { accountMessage } from '../messages/account.ts';
import { pricedUsageMessage } from '../messages/priced-usage.ts';
import type { ServiceContext } from '../service-context.ts';

export const setShadowMode = defineMutation(
  'SetShadowMode',
  SetShadowModeRequest,
  SetShadowModeResponse,
  ({ enabled, reason }, check) => {
    if (enabled === undefined) check.addViolation('enabled', 'is required');
    return { kind: 'SetShadowMode', enabled: enabled ?? false, reason: check.reason(reason) };
  },
  ({ entrySeq }, { account, plan }) => ({
    account: accountMessage(account, plan.terms),
    entrySeq,
  }),
);

/** The account and the seq of a decision. */
const KEY = /^[!-~]{1,128} [1-9][0-9]{0,18}$/;

export async function listShadowDecisions(
  context: ServiceContext,
  request: ListShadowDecisionsRequest,
  { access }: UnaryCall,
): Promise<ListShadowDecisionsResponse> {
  const { accountId, pageSize, from, to } = parseRequest(request);
  if (accountId && !(await findAccount(context.em(), accountId))) throw accountNotFound(accountId);
  const filter = {
    accountId,
    from,
    to,
    caller: ownerOf(access),
    scope: access.permissions.accounts,
  };
  const { messages, nextPageToken } = await mergedPage(context, {
    list: ['shadow decisions', canonicalJson({ accountId, from, to })],
    accountId,
    pageToken: request.pageToken,
    pageSize,
    keyPattern: KEY,
    read: async ({ em }, after) => {
      const rows = await findShadowDecisions(
        em(),
        filter,
        after === null ? null : parseKey(after),
        pageSize + 1,
      );
      return toCellPage(rows, pageSize, keyOf);
    },
    keyOf,
    order: { byKeys: (keys) => readInCell(context, ({ em }) => compareKeysAs(em(), keys)) },
    codec: ShadowDecisionMessage,
    toMessage: decisionMessage,
  });
  return { decisions: messages, nextPageToken };
}

const keyOf = ({ accountId, seq }: StoredShadowDecision): string => `${accountId} ${seq}`;

function parseKey(key: string) {
  const [accountId = '', seq = ''] = key.split(' ');
  return { accountId, seq: BigInt(seq) };
}

async function compareKeysAs(em: Em, keys: readonly string[]) {
  const compareIds = await compareIdsAs(
    em,
    keys.map((key) => parseKey(key).accountId),
  );
  return (oneKey: string, otherKey: string): number => {
    const [one, other] = [parseKey(oneKey), parseKey(otherKey)];
    if (one.accountId !== other.accountId) return compareIds(one.accountId, other.accountId);
    return one.seq < other.seq ? -1 : 1;
  };
}

function parseRequest(request: ListShadowDecisionsRequest) {
  const check = new FieldChecker();
  const accountId = request.accountId && check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  const from = check.instant('from', request.from);
  const to = check.instant('to', request.to);
  if (from !== null && to !== null && to < from)
    check.addViolation('to', 'must not be before from');
  check.throwIfInvalid();
  return { accountId, pageSize, from, to };
}

const decisionMessage = (decision: StoredShadowDecision): ShadowDecisionMessage => ({
  accountId: decision.accountId,
  seq: decision.seq,
  kind: Entry_Kind[decision.kind],
  at: new Date(decision.at),
  credits: decision.credits,
  refusedBecause: decision.refusal?.reason ?? '',
  refusalMetadata: mapOf(decision.refusal?.details ?? {}),
  availableAfter: decision.availableAfter,
  usages: decision.usages.map(pricedUsageMessage),
  planId: decision.planId,
  rateCardVersion: BigInt(decision.rateCardVersion ?? 0),
  reservationId: decision.reservationId ?? '',
  caller: decision.caller,
  requestId: decision.requestId,
  reference: decision.reference,
  labels: mapOf(decision.labels),
  traceId: decision.traceId,
  refundedSeq: decision.refundedSeq ?? 0n,
});
