/**
 * Refund: a new entry that gives back part or all of a commit or charge. Credits go back to the
 * grants they came from, last taken first, so the ones that burn first stay spent. What belongs to a
 * grant that has expired since becomes breakage.
 */
import { Failure } from '../../failure.ts';
import { type Book, movesOf } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { beyondLimit } from '../limit.ts';
import type { RefundableEntry } from '../refundable.ts';
import { type Allocation, OVERAGE, splitAllocations, total } from '../reservation.ts';
import { fromExpiredGrant } from '../settle.ts';

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
  const refunded = book.refundable(command.seq);
  if (!refunded)
    return new Failure(
      'ENTRY_NOT_FOUND',
      `account ${book.account.accountId} has no commit or charge with seq ${command.seq}`,
      { seq: command.seq, account_id: book.account.accountId },
    );
  const allowed = refunded.committed - refunded.refunded;
  const credits = command.credits ?? allowed;
  if (credits > allowed || allowed === 0n)
    return new Failure(
      'EXCEEDS_COMMIT',
      `a refund of ${credits} credits exceeds the ${allowed} that are left of entry ${command.seq}`,
      { asked: credits, allowed, seq: command.seq },
    );

  const split = lastTaken(refunded, credits);
  const breakage = split.filter((allocation) => fromExpiredGrant(book, allocation));
  const restored = split.filter((allocation) => !fromExpiredGrant(book, allocation));
  const tooMany = beyondLimit(book, total(restored.filter(({ grantId }) => grantId !== OVERAGE)));
  if (tooMany) return tooMany;

  const entry = book.post(
    {
      kind: 'REFUND',
      moves: [
        ...movesOf(restored, 'consumed', 'available'),
        ...movesOf(breakage, 'consumed', 'expired'),
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
  for (const { grantId } of restored)
    if (grantId !== OVERAGE) book.due(book.grant(grantId).expiresAt);
  refunded.refunded += credits;
  book.changes.refundables.add(refunded);
  return {
    kind: 'Refund',
    refunded: credits,
    split,
    expired: total(breakage),
    entrySeq: entry.seq,
  } as const;
}

/** The part of a commit that `credits` give back: from its end, after what was refunded before. */
function lastTaken(entry: RefundableEntry, credits: bigint): readonly Allocation[] {
  const backwards = [...entry.split].reverse();
  const { left } = splitAllocations(backwards, entry.refunded);
  return splitAllocations(left, credits).taken;
}
