/** What of allowances has expired, and returns for late usage of their time. */
import { type Allocation, isOfGrant } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import { type Entry, type Move, type Origin, serviceOrigin } from './entry.ts';
import { type Grant, hasExpired } from './grant.ts';

/** Notes what of allowances expires at their end, or returns. What is not carried over expires earlier: it is left out. */
export function noteExpired(book: Book, moves: readonly Move[]) {
  for (const { from, to, grantId, credits } of moves) {
    if (from === 'issued' || (from !== 'expired' && to !== 'expired')) continue;
    const grant = book.getGrant(grantId);
    if (grant.category !== 'ALLOWANCE' || !hasExpired(grant, book.now)) continue;
    grant.expired += from === 'expired' ? -credits : credits;
    book.markGrantTerms(grant);
  }
}

/** Whether it is over, and something of it has expired that was there to be spent at `usedAt`. What rolls over is never over. */
export const canReturn = (grant: Grant, usedAt: number, now: number): boolean =>
  grant.category === 'ALLOWANCE' &&
  grant.expired > 0n &&
  grant.effectiveAt <= usedAt &&
  !hasExpired(grant, usedAt) &&
  hasExpired(grant, now);

/** Whether an entry returns credits of an allowance for late usage. Directly after it comes what spends them. */
export const returnsForLateUsage = ({ kind, usedAt }: Pick<Entry, 'kind' | 'usedAt'>): boolean =>
  kind === 'REINSTATE' && usedAt !== null;

/** Whether credits can have returned for an entry, in those directly before it. */
export const spendsReturned = ({ kind, usedAt }: Pick<Entry, 'kind' | 'usedAt'>): boolean =>
  usedAt !== null && (kind === 'CHARGE' || kind === 'RESERVE');

/** Of an allocation of late usage, returns what has expired to its grants. The entry that spends it comes next. */
export function reinstateExpired(
  book: Book,
  allocations: readonly Allocation[],
  usedAt: number,
  origin: Origin,
) {
  for (const allocation of allocations) {
    if (!isOfGrant(allocation)) continue;
    const { grantId, credits } = allocation;
    const grant = book.getGrant(grantId);
    if (!hasExpired(grant, book.now)) continue;
    book.post(
      {
        kind: 'REINSTATE',
        moves: [{ from: 'expired', to: 'available', grantId, credits }],
        credits,
        grantId,
        usedAt,
        reference: grant.sourceReference,
      },
      serviceOrigin(origin),
    );
  }
}
