/** GrantCredits, VoidGrant, UpdateGrant and ListGrants. */
import {
  GrantCreditsRequest,
  GrantCreditsResponse,
  type ListGrantsRequest,
  type ListGrantsResponse,
  UpdateGrantRequest,
  UpdateGrantResponse,
  VoidGrantRequest,
  VoidGrantRequest_Returned,
  VoidGrantResponse,
} from '../../gen/billing/v1/account_service.ts';
import { Grant, Grant_Category } from '../../gen/billing/v1/ledger.ts';
import { DEFAULT_PRIORITY, type Grant as LedgerGrant } from '../../ledger/grant.ts';
import { findGrants } from '../../queries/grants.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { loadBook } from '../call/load-account.ts';
import { defineMutation } from '../call/mutation.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import { balanceMessage } from '../messages/balance.ts';
import { grantMessage } from '../messages/grant.ts';
import type { ServiceContext } from '../service-context.ts';

const CATEGORIES: Partial<Record<Grant_Category, 'PAID' | 'PROMOTIONAL' | 'ADJUSTMENT'>> = {
  [Grant_Category.PAID]: 'PAID',
  [Grant_Category.PROMOTIONAL]: 'PROMOTIONAL',
  [Grant_Category.ADJUSTMENT]: 'ADJUSTMENT',
};

export const grantCredits = defineMutation(
  'GrantCredits',
  GrantCreditsRequest,
  GrantCreditsResponse,
  (request, check) => {
    const category = CATEGORIES[request.category];
    if (!category) check.addViolation('category', 'must be PAID, PROMOTIONAL or ADJUSTMENT');
    const priority = request.priority ?? DEFAULT_PRIORITY;
    checkPriority(priority, check);
    return {
      kind: 'GrantCredits',
      credits: check.credits('credits', request.credits, 1n),
      category: category ?? 'ADJUSTMENT',
      priority,
      effectiveAt: check.instant('effective_at', request.effectiveAt),
      expiresAt: check.instant('expires_at', request.expiresAt),
      operations: check.operations('only_for', request.onlyFor),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
      reason: check.reason(request.reason),
    };
  },
  (outcome, book) => ({
    grant: grantMessage(outcome.grant, book.now),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
  }),
);

export const voidGrant = defineMutation(
  'VoidGrant',
  VoidGrantRequest,
  VoidGrantResponse,
  (request, check) => ({
    kind: 'VoidGrant',
    grantId: check.grantId(request.grantId),
    credits: parseVoided(request, check),
    voidReturned: parseReturned(request.returned, check),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
    reason: check.reason(request.reason),
  }),
  ({ grant, voided, voidOnReturn, entrySeq }, book) => ({
    grant: grantMessage(grant, book.now),
    voided,
    voidOnReturn,
    balance: balanceMessage(book),
    entrySeq,
  }),
);

function parseVoided({ credits, all }: VoidGrantRequest, check: FieldChecker): bigint | 'all' {
  const isAll = check.all('all', all);
  if ((credits === undefined) === (all === undefined))
    check.addViolation('credits', 'give credits or all, one of them');
  return isAll ? 'all' : check.credits('credits', credits ?? 1n, 1n);
}

function parseReturned(returned: VoidGrantRequest_Returned, check: FieldChecker): boolean {
  const { UNSPECIFIED, KEEP, VOID } = VoidGrantRequest_Returned;
  if (returned === VOID) return true;
  if (returned !== UNSPECIFIED && returned !== KEEP)
    check.addViolation('returned', 'must be KEEP or VOID');
  return false;
}

export const updateGrant = defineMutation(
  'UpdateGrant',
  UpdateGrantRequest,
  UpdateGrantResponse,
  (request, check) => {
    const { priority, expiry, operations } = request;
    if (priority !== undefined) checkPriority(priority, check);
    if (priority === undefined && !expiry && !operations)
      check.addViolation('priority', 'give priority, expiry or operations, at least one of them');
    return {
      kind: 'UpdateGrant',
      grantId: check.grantId(request.grantId),
      ...(priority !== undefined && { priority }),
      ...(expiry && { expiresAt: check.instant('expiry.expires_at', expiry.expiresAt) }),
      ...(operations && {
        operations: check.operations('operations.only_for', operations.onlyFor),
      }),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
      reason: check.reason(request.reason),
    };
  },
  ({ grant, entrySeq }, book) => ({
    grant: grantMessage(grant, book.now),
    balance: balanceMessage(book),
    entrySeq,
  }),
);

function checkPriority(priority: number, check: FieldChecker) {
  if (priority < 0 || priority > 100) check.addViolation('priority', 'must be 0 to 100');
}

const GRANT_ID = /^[1-9]\d{0,17}$/;

export async function listGrants(
  context: ServiceContext,
  request: ListGrantsRequest,
): Promise<ListGrantsResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  const list = ['grants', accountId];
  const before = decodePageToken(list, request.pageToken, GRANT_ID);
  const book = await loadBook(context, accountId);
  // Open grants are shown as the book has settled them, and all others as they are stored.
  const settled = new Map(book.grants.map((grant) => [grant.grantId, grant]));
  const beforeId = before === null ? null : BigInt(before);
  const stored = await findGrants(context.em(), accountId, beforeId, pageSize + 1);
  const { messages, nextPageToken } = toPage(
    [...notStored(book.grants, beforeId, stored[0]?.grantId ?? 0n), ...stored].slice(
      0,
      pageSize + 1,
    ),
    pageSize,
    Grant,
    (grant) => grantMessage(settled.get(grant.grantId) ?? grant, book.now),
    ({ grantId }) => encodePageToken(list, grantId),
  );
  return { grants: messages, nextPageToken };
}

/** Allowances that are due and not written yet, newest first, as the balance has them. */
const notStored = (
  settled: readonly LedgerGrant[],
  beforeId: bigint | null,
  newestStored: bigint,
): readonly LedgerGrant[] =>
  settled
    .filter(({ grantId }) => grantId > newestStored && (beforeId === null || grantId < beforeId))
    .sort((a, b) => (a.grantId > b.grantId ? -1 : 1));
