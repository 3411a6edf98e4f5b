/** The event grant.expiring: gives notice of a grant's expiry while its credits can still be spent. */
import type { Terms } from '../pricing/plan.ts';
import type { Book } from './book.ts';
import type { Trace } from './entry.ts';
import { type Grant, hasExpired } from './grant.ts';

/**
 * When notice of a grant's expiry is due; null: never. Allowances get no notice, because they come
 * again by themselves. A grant that is shorter than the notice gets it as soon as it is effective.
 */
export function expiryNoticeAt(
  terms: Terms,
  { category, effectiveAt, expiresAt }: Pick<Grant, 'category' | 'effectiveAt' | 'expiresAt'>,
): number | null {
  const { expiringNoticeMs } = terms;
  if (category === 'ALLOWANCE' || expiresAt === null || expiringNoticeMs === 0) return null;
  return Math.max(expiresAt - expiringNoticeMs, effectiveAt);
}

/** Whether notice is due and not given yet, and the grant still has credits. */
export const isNoticeDue = ({ noticeAt, state, remaining }: Grant, now: number): boolean =>
  noticeAt !== null && noticeAt <= now && state !== 'SCHEDULED' && remaining > 0n;

/** Gives notice once. A grant that has expired meanwhile gets none. */
export function emitExpiryNotice(book: Book, grant: Grant, trace: Trace) {
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
    trace,
  );
}

/** Gives notice of the grants that a command made, where it is due already. */
export function emitNoticesOfNewGrants(book: Book, trace: Trace) {
  for (const grant of book.changes.grants.added)
    if (isNoticeDue(grant, book.now)) emitExpiryNotice(book, grant, trace);
}

/**
 * Schedules the expiry of a grant that has credits again. Gives notice of it now if notice became due
 * while the grant had no credits, and schedules the notice otherwise.
 */
export function scheduleExpiry(book: Book, grant: Grant, trace: Trace) {
  book.scheduleSettling(grant.expiresAt);
  if (isNoticeDue(grant, book.now)) emitExpiryNotice(book, grant, trace);
  else book.scheduleSettling(grant.noticeAt);
}
