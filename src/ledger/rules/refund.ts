/**
 * Refund: a new entry that gives back part or all of a commit or charge. Credits go back to the
 * grants they came from, last taken first, so the ones that burn first stay spent. What belongs to a
 * grant that has expired since becomes breakage, or a new grant, as the plan says.
 */
import {
  type Allocation,
  OVERAGE,
  splitAllocations,
  totalCredits,
} from '../allocation/allocation.ts';
import { type Book, toMoves, type UnsealedEntry } from '../book.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import type { Labels, Origin } from '../entry.ts';
import { emitExpiryNotice, isNoticeDue } from '../expiry-notice.ts';
import { entryNotFound, exceedsCommit } from '../failures.ts';
import type { Grant } from '../grant.ts';
import type { RefundableEntry } from '../refundable.ts';
import { isFromExpiredGrant } from '../settle.ts';

export type Refund = {
  readonly kind: 'Refund';
  /** seq of the commit or charge. */
  readonly seq: bigint;
  /** Null: all that is not refunded yet. */
  readonly credits: bigint | null;
  readonly reference: string;
  readonly labels: Labels;
};

export function refund(book: Book, command: Refund, origin: Origin) {
  const refunded = book.findRefundable(command.seq);
  if (!refunded) return entryNotFound(book.account.accountId, command.seq);
  const allowed = refunded.committed - refunded.refunded;
  const credits = command.credits ?? allowed;
  if (credits > allowed || allowed === 0n) return exceedsCommit(command.seq, credits, allowed);

  const split = lastTaken(refunded, credits);
  const lapsed = split.filter((allocation) => isFromExpiredGrant(book, allocation));
  const restored = split.filter((allocation) => !isFromExpiredGrant(book, allocation));
  const anew = book.plan.terms.refundExpired === 'new_grant';
  const issued = [
    ...restored.filter(({ grantId }) => grantId !== OVERAGE),
    ...(anew ? lapsed : []),
  ];
  const tooMany = checkCreditLimit(book, totalCredits(issued));
  if (tooMany) return tooMany;

  const entry = book.post(
    {
      kind: 'REFUND',
      moves: [
        ...toMoves(restored, 'consumed', 'available'),
        ...toMoves(lapsed, 'consumed', anew ? 'issued' : 'expired'),
      ],
      credits,
      refunded,
      ...(refunded.reservationId && { reservationId: refunded.reservationId }),
      ...(refunded.planId && { planId: refunded.planId }),
      ...(refunded.rateCardVersion && { rateCardVersion: refunded.rateCardVersion }),
      reference: command.reference || refunded.reference,
      labels: { ...refunded.labels, ...command.labels },
    },
    origin,
  );
  for (const { grantId } of restored) if (grantId !== OVERAGE) reopened(book, grantId, origin);
  const newGrants = anew ? lapsed.map((allocation) => grantAnew(book, allocation, entry)) : [];
  refunded.refunded += credits;
  book.changes.refundables.markChanged(refunded);
  return {
    kind: 'Refund',
    refunded: credits,
    split,
    expired: anew ? 0n : totalCredits(lapsed),
    newGrants,
    entrySeq: entry.seq,
  } as const;
}

/** A grant that has credits again expires like any other, and that is said in time. */
function reopened(book: Book, grantId: bigint, origin: Origin) {
  const grant = book.getGrant(grantId);
  book.scheduleSettling(grant.expiresAt);
  if (isNoticeDue(grant, book.now)) emitExpiryNotice(book, grant, origin);
  else book.scheduleSettling(grant.noticeAt);
}

/** Gives back what came from an expired grant as one like it, which lasts as long from now on. */
function grantAnew(book: Book, { grantId, credits }: Allocation, entry: UnsealedEntry): Grant {
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
      reference: entry.reference,
      labels: entry.labels,
    },
    entry,
  );
  return grant;
}

/** The part of a commit that `credits` give back: from its end, after what was refunded before. */
function lastTaken(entry: RefundableEntry, credits: bigint): readonly Allocation[] {
  const backwards = [...entry.split].reverse();
  const { rest } = splitAllocations(backwards, entry.refunded);
  return splitAllocations(rest, credits).first;
}
