/**
 * Takes credits of a purchase back whose money went back, and gives them again where it came again.
 * Only what is neither spent nor reserved can be taken; the rest is written down as unrecovered. What
 * was taken and what could not be are together always what was asked back: asking for the same again
 * changes nothing, even if more could be taken by now.
 */
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { emitExpiryNotice, isNoticeDue } from './expiry-notice.ts';
import { type Grant, grantAvailable, hasExpired } from './grant.ts';
import type { Purchase } from './purchase.ts';
import { entryReference } from './purchase-lifecycle.ts';
import { SERVICE_CALLER } from './settle.ts';

/** Brings a paid purchase to what is asked back of it now. */
export function syncClawBack(book: Book, purchase: Purchase, askedBack: bigint, origin: Origin) {
  const more = askedBack - askedBefore(purchase);
  const grant = grantOf(book, purchase);
  const trace: Origin = { ...origin, caller: SERVICE_CALLER, requestId: '' };
  if (more > 0n) {
    const available = grantAvailable(grant);
    const taken = available < more ? available : more;
    if (taken > 0n) post(book, purchase, 'CLAW_BACK', taken, trace);
    purchase.creditsClawedBack += taken;
    purchase.creditsUnrecovered += more - taken;
  } else if (more < 0n) {
    const again = surplus(purchase, askedBack);
    if (again > 0n) {
      post(book, purchase, 'REINSTATE', again, trace);
      if (!hasExpired(grant, book.now)) {
        book.scheduleSettling(grant.expiresAt);
        // Nobody was told of it while it had nothing.
        if (isNoticeDue(grant, book.now)) emitExpiryNotice(book, grant, trace);
        else book.scheduleSettling(grant.noticeAt);
      }
    }
    purchase.creditsClawedBack -= again;
    purchase.creditsUnrecovered = askedBack - purchase.creditsClawedBack;
  }
}

/** Credits that would come back to the account if so much were asked back. */
export function creditsToReinstate(book: Book, purchase: Purchase, askedBack: bigint): bigint {
  if (purchase.state !== 'PAID' || askedBack >= askedBefore(purchase)) return 0n;
  return hasExpired(grantOf(book, purchase), book.now) ? 0n : surplus(purchase, askedBack);
}

const askedBefore = ({ creditsClawedBack, creditsUnrecovered }: Purchase): bigint =>
  creditsClawedBack + creditsUnrecovered;

/** What could not be taken is forgiven first: the customer had it all along. */
const surplus = ({ creditsClawedBack }: Purchase, askedBack: bigint): bigint =>
  creditsClawedBack > askedBack ? creditsClawedBack - askedBack : 0n;

const grantOf = (book: Book, { grantId }: Purchase): Grant => book.getGrant(grantId ?? 0n);

function post(
  book: Book,
  purchase: Purchase,
  kind: 'CLAW_BACK' | 'REINSTATE',
  credits: bigint,
  origin: Origin,
) {
  const grant = grantOf(book, purchase);
  const { grantId } = grant;
  const given = hasExpired(grant, book.now) ? 'expired' : 'available';
  book.post(
    {
      kind,
      moves: [
        kind === 'CLAW_BACK'
          ? { from: 'available', to: 'issued', grantId, credits }
          : { from: 'issued', to: given, grantId, credits },
      ],
      credits,
      grantId,
      reference: entryReference(purchase),
      labels: purchase.labels,
    },
    origin,
  );
}
