/**
 * Refund: a new entry that gives back part or all of a commit or charge. Credits go back to the grants
 * they came from, last used first, so the grants that burn first stay spent. Credits of a grant that has
 * expired become breakage or a new grant, as the plan says; those that VoidGrant voids as they come back are
 * voided. What was owed is cancelled; what has been paid of it since is a new grant.
 */
import {
  type Allocation,
  isOfGrant,
  OWED,
  splitAllocations,
  totalCredits,
} from '../allocation/allocation.ts';
import type { Book } from '../book.ts';
import { returnCounts } from '../budget-counts.ts';
import { refundShares } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import { amountIfUsedUp, checkCreditLimit } from '../credit-limit.ts';
import type { Labels, Move, Origin, UnsealedEntry } from '../entry.ts';
import { scheduleExpiry } from '../expiry-notice.ts';
import { entryArchived, entryNotFound, exceedsCommit } from '../failures.ts';
import type { Grant } from '../grant.ts';
import { grantDetails } from '../grant-details.ts';
import { isFromExpiredGrant, splitVoided, toMoves } from '../moves.ts';
import { grantPaidOwed } from '../owed.ts';
import type { RefundableEntry } from '../refundable.ts';

export type Refund = {
  readonly kind: 'Refund';
  /** seq of the commit or charge. */
  readonly seq: bigint;
  /** 'all': everything that is not refunded yet. */
  readonly credits: bigint | 'all';
  readonly reference: string;
  readonly labels: Labels;
  /** Why, for people. */
  readonly reason: string;
};

export function refund(book: Book, command: Refund, origin: Origin) {
  const { accountId, archivedSeq } = book.account;
  if (archivedSeq !== null && command.seq <= archivedSeq)
    return entryArchived(accountId, command.seq, archivedSeq);
  const original = book.findRefundable(command.seq);
  if (!original) return entryNotFound(accountId, command.seq);
  const allowed = original.committed - original.refunded;
  const credits = command.credits === 'all' ? allowed : command.credits;
  if (credits > allowed || allowed === 0n) return exceedsCommit(command.seq, credits, allowed);

  const overCallerLimit = checkCallerLimits(book, credits);
  if (overCallerLimit) return overCallerLimit;

  const split = lastUsed(original, credits);
  const { voided, kept } = splitVoided(book, split);
  const expired = kept.filter((allocation) => isFromExpiredGrant(book, allocation));
  const owed = splitOwed(book, kept);
  const restored = kept.filter(
    (allocation) => allocation.grantId !== OWED && !isFromExpiredGrant(book, allocation),
  );
  const restoredGrants = restored.filter(isOfGrant);
  const toGrantAgain = book.plan.terms.refundExpired === 'new_grant' ? expired : [];
  const incoming = [...restoredGrants, ...toGrantAgain, ...owed.paid];
  const overLimit = checkCreditLimit(
    book,
    totalCredits(incoming),
    totalCredits([...toGrantAgain, ...owed.paid]) + amountsRestored(book, restoredGrants),
  );
  if (overLimit) return overLimit;

  const moves = [
    ...toMoves(restored, 'consumed', 'available'),
    ...toMoves(owed.cancelled, 'consumed', 'available'),
    ...toMoves(owed.paid, 'consumed', 'issued'),
    ...toMoves(expired, 'consumed', toGrantAgain.length > 0 ? 'issued' : 'expired'),
    ...toMoves(voided, 'consumed', 'voided'),
  ];
  const entry = postRefund(book, command, original, credits, moves, origin);
  for (const { grantId } of restoredGrants) scheduleExpiry(book, book.getGrant(grantId), origin);
  const newGrants = [
    ...owed.paid.map(({ credits }) => grantPaidOwed(book, credits, entry, origin)),
    ...toGrantAgain.map((allocation) => grantAgain(book, allocation, entry, origin)),
  ];
  if (book.account.budgets) returnToBudgets(book, original, credits, origin);
  original.refunded += credits;
  book.changes.refundables.markChanged(original);
  return {
    kind: 'Refund',
    refunded: credits,
    split,
    expired: totalCredits(expired) - totalCredits(toGrantAgain),
    voided: totalCredits(voided),
    newGrants,
    entrySeq: entry.seq,
  } as const;
}

/** Of what the charge came to owe: what is still owed, and what others have paid since. */
function splitOwed({ account }: Book, allocations: readonly Allocation[]) {
  const owed = allocations.filter(({ grantId }) => grantId === OWED);
  const { first: cancelled, rest: paid } = splitAllocations(owed, account.owed);
  return { cancelled, paid };
}

/** Only where the period of the job is not over: what a period has used is not changed later. */
function returnToBudgets(book: Book, original: RefundableEntry, credits: bigint, origin: Origin) {
  const { start, labels } = original;
  // It was not loaded where the account had no budget before this unit of work. A new one counts no earlier job.
  if (!start) return;
  returnCounts(
    book,
    { startSeq: start.seq, startedAt: start.at, labels },
    { credits: -credits, byOperation: () => refundShares(original, credits) },
    origin,
    { withinPeriod: true },
  );
}

const postRefund = (
  book: Book,
  { reference, labels, reason }: Refund,
  original: RefundableEntry,
  credits: bigint,
  moves: readonly Move[],
  origin: Origin,
): UnsealedEntry =>
  book.post(
    {
      kind: 'REFUND',
      moves,
      credits,
      refunded: original,
      ...(original.reservationId && { reservationId: original.reservationId }),
      ...(original.planId && { planId: original.planId }),
      ...(original.rateCardVersion && { rateCardVersion: original.rateCardVersion }),
      reference: reference || original.reference,
      labels: { ...original.labels, ...labels },
      personal: { reason },
    },
    origin,
  );

/** The amounts of the grants that were used up. */
const amountsRestored = (book: Book, allocations: readonly Allocation[]): bigint =>
  [...new Set(allocations.map(({ grantId }) => grantId))].reduce(
    (sum, grantId) => sum + amountIfUsedUp(book.getGrant(grantId)),
    0n,
  );

/** Replaces credits of an expired grant by a new grant with the same terms and the same duration. */
function grantAgain(
  book: Book,
  { grantId, credits }: Allocation,
  entry: UnsealedEntry,
  origin: Origin,
): Grant {
  const { category, priority, operations, effectiveAt, expiresAt } = book.getGrant(grantId);
  const grant = book.addGrant({
    amount: credits,
    category,
    priority,
    operations,
    effectiveAt: book.now,
    expiresAt: expiresAt === null ? null : book.now + expiresAt - effectiveAt,
    source: 'REFUND',
    sourceReference: grantId.toString(),
    state: 'OPEN',
  });
  book.post(
    {
      kind: 'GRANT',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits }],
      credits,
      grantId: grant.grantId,
      details: grantDetails(grant),
      reference: entry.reference,
      labels: entry.labels,
    },
    origin,
  );
  return grant;
}

/** The last `credits` of an entry's split that are not refunded yet, from the end backwards. */
function lastUsed(entry: RefundableEntry, credits: bigint): readonly Allocation[] {
  const reversed = [...entry.split].reverse();
  const { rest } = splitAllocations(reversed, entry.refunded);
  return splitAllocations(rest, credits).first;
}
