/** GetPastBalance: what an account had after one of its entries, or at an instant. */
import { Failure } from '../../failure.ts';
import type {
  GetPastBalanceRequest,
  GetPastBalanceResponse,
} from '../../gen/billing/v1/billing_service.ts';
import type { Account } from '../../ledger/account.ts';
import { bucketBalances } from '../../ledger/buckets.ts';
import { seqNotFound } from '../../ledger/failures.ts';
import { isSameMonth } from '../../ledger/periods/period.ts';
import { lastSeqBefore } from '../../queries/entries.ts';
import { findBalancesAfter, sumMoves } from '../../queries/past-balance.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { loadAccount } from '../call/load-account.ts';
import { bucketMessage } from '../messages/entry.ts';
import type { ServiceContext } from '../service-context.ts';

export async function getPastBalance(
  context: ServiceContext,
  request: GetPastBalanceRequest,
  { isCancelled }: UnaryCall,
): Promise<GetPastBalanceResponse> {
  const { accountId, seq: asked, at } = parseRequest(request);
  const account = await loadAccount(context, accountId);
  const seq = at === null ? asked : await lastSeqUpTo(context, account, at);
  const after = await findBalancesAfter(context.em(), context.archive, accountId, seq);
  if (!after) throw seqNotFound(accountId, seq);
  const { at: recordedAt, remainingAfter: remaining, reservedAfter: reserved } = after;
  // The overage of each month counts from 0.
  const isOfMonth = at === null || isSameMonth(account.timeZones, at, recordedAt);
  const moves = request.includeBuckets
    ? await sumMoves(context.em(), context.archive, accountId, seq, isCancelled)
    : [];
  return {
    seq,
    recordedAt: new Date(recordedAt),
    remaining,
    reserved,
    available: remaining - reserved,
    overage: isOfMonth ? after.overageAfter : 0n,
    owed: after.owedAfter,
    buckets: bucketBalances(moves).map(({ kind, grantId, credits }) => ({
      bucket: bucketMessage(kind, grantId),
      credits,
    })),
  };
}

/** seq of the last entry that was recorded at the instant or before. */
async function lastSeqUpTo(
  { em, archive, clock }: ServiceContext,
  { accountId, openedAt, lastAt, seq }: Account,
  at: number,
): Promise<bigint> {
  // The account is ahead of this replica's clock if another replica, with a faster one, has written it.
  const latest = Math.max(clock.now(), lastAt);
  const isPast = at >= openedAt && at <= latest;
  const last = isPast ? await lastSeqBefore(em(), archive, accountId, at + 1, seq) : 0n;
  if (last > 0n) return last;
  // An imported account was opened before its first entry.
  const first = await findBalancesAfter(em(), archive, accountId, 1n);
  throw instantOutOfRange(at, first?.at ?? openedAt, latest);
}

function instantOutOfRange(at: number, earliest: number, latest: number): Failure {
  const [asked, from, to] = [at, earliest, latest].map((ms) => new Date(ms).toISOString());
  return new Failure(
    'INSTANT_OUT_OF_RANGE',
    `at ${asked} there is no balance: the account's first entry is of ${from}, and it is now ${to}`,
    { at: `${asked}`, earliest: `${from}`, latest: `${to}` },
  );
}

/** `at` is null where a seq is given. */
function parseRequest({ accountId, point }: GetPastBalanceRequest) {
  const check = new FieldChecker();
  check.accountId(accountId);
  if (!point) check.addViolation('point', 'is required: seq or at');
  const seq = point?.$case === 'seq' ? point.value : 0n;
  if (point?.$case === 'seq' && seq < 1n) check.addViolation('seq', 'must be 1 or more');
  const at = point?.$case === 'at' ? check.instant('at', point.value) : null;
  check.throwIfInvalid();
  return { accountId, seq, at };
}
