/** The notice that credits are about to expire, in time to spend them: the event grant.expiring. */
import type { Terms } from '../pricing/plan.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { type Grant, hasExpired } from './grant.ts';

/**
 * When notice of a grant's expiry is given; null: never. Allowances come again by themselves and are
 * not announced. A grant shorter than the notice is announced as soon as it is effective.
 */
export function expiryNoticeAt(
  terms: Terms,
  { category, effectiveAt, expiresAt }: Pick<Grant, 'category' | 'effectiveAt' | 'expiresAt'>,
): number | null {
  const { expiringNoticeMs } = terms;
  if (category === 'ALLOWANCE' || expiresAt === null || expiringNoticeMs === 0) return null;
  return Math.max(expiresAt - expiringNoticeMs, effectiveAt);
}

/** Whether notice of a grant is due: credits are left of it, and none was given yet. */
export const isNoticeDue = ({ noticeAt, state, remaining }: Grant, now: number): boolean =>
  noticeAt !== null && noticeAt <= now && state !== 'SCHEDULED' && remaining > 0n;

/** Gives notice. Of a grant that nobody looked at until it had expired there is none to give. */
export function emitExpiryNotice(
  book: Book,
  grant: Grant,
  origin: Pick<Origin, 'traceId' | 'spanId'>,
) {
  grant.noticeAt = null;
  book.changes.grants.markChanged(grant);
  if (grant.expiresAt === null || hasExpired(grant, book.now)) return;
  book.emitEvent(
    'grant.expiring',
    {
      grant_id: grant.grantId.toString(),
      remaining: grant.remaining.toString(),
      expires_at: new Date(grant.expiresAt).toISOString(),
      category: grant.category,
    },
    origin,
  );
}

/** Gives notice of the grants a decision made, where it is due already. */
export function emitNoticesOfNewGrants(book: Book, origin: Pick<Origin, 'traceId' | 'spanId'>) {
  for (const grant of book.changes.grants.added)
    if (isNoticeDue(grant, book.now)) emitExpiryNotice(book, grant, origin);
}
