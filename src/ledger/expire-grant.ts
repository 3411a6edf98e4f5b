/** Breakage: credits of a grant that expired unused. */
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import type { Grant } from './grant.ts';

/** Expires `credits` of what is available of a grant: all of it, or what does not roll over. */
export function expireGrant(book: Book, grant: Grant, credits: bigint, origin: Origin) {
  book.post(
    {
      kind: 'GRANT_EXPIRED',
      moves: [{ from: 'available', to: 'expired', grantId: grant.grantId, credits }],
      credits,
      grantId: grant.grantId,
      reference: grant.sourceReference,
    },
    origin,
  );
  // A grant without an expiry that has nothing left has expired, too: its credits were not spent.
  if (grant.remaining === 0n) grant.state = 'EXPIRED';
  book.emitEvent(
    'grant.expired',
    {
      grant_id: grant.grantId.toString(),
      credits: credits.toString(),
      category: grant.category,
    },
    origin,
  );
}
