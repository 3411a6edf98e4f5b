/**
 * Claw-backs: takes back the credits of a purchase whose money was refunded or is disputed, and
 * reinstates them when a dispute is won.
 *
 * The target is the number of credits that refunds and disputes claim so far. Only credits that are
 * neither spent nor reserved can be clawed back; the rest is recorded as unrecovered. Clawed back and
 * unrecovered credits always add up to the target, so the same target again changes nothing, even if
 * more credits could be taken by now.
 */
import { min } from '../min.ts';
import type { Book } from './book.ts';
import { type Origin, serviceOrigin, type Trace } from './entry.ts';
import { scheduleExpiry } from './expiry-notice.ts';
import { type Grant, grantAvailable, hasExpired } from './grant.ts';
import type { Purchase } from './purchase.ts';
import { entryReference } from './purchase-lifecycle.ts';

/** Claws back or reinstates credits of a paid purchase until it meets the target. */
export function syncClawBack(book: Book, purchase: Purchase, target: bigint, origin: Origin) {
  const increase = target - currentTarget(purchase);
  const grant = grantOf(book, purchase);
  const ownOrigin = serviceOrigin(origin);
  if (increase > 0n) {
    const taken = min(grantAvailable(grant), increase);
    if (taken > 0n) post(book, purchase, 'CLAW_BACK', taken, ownOrigin);
    purchase.creditsClawedBack += taken;
    purchase.creditsUnrecovered += increase - taken;
    tell(book, purchase, 'purchase.clawed_back', taken, ownOrigin);
  } else if (increase < 0n) {
    const reinstated = clawedBackBeyond(purchase, target);
    if (reinstated > 0n) {
      post(book, purchase, 'REINSTATE', reinstated, ownOrigin);
      if (!hasExpired(grant, book.now)) scheduleExpiry(book, grant, ownOrigin);
    }
    purchase.creditsClawedBack -= reinstated;
    purchase.creditsUnrecovered = target - purchase.creditsClawedBack;
    tell(book, purchase, 'purchase.reinstated', reinstated, ownOrigin);
  }
}

/** `credits` were moved now; the purchase says how many are clawed back and unrecovered in all. */
function tell(
  book: Book,
  purchase: Purchase,
  type: 'purchase.clawed_back' | 'purchase.reinstated',
  credits: bigint,
  trace: Trace,
) {
  book.emitEvent(
    type,
    {
      purchase_id: purchase.purchaseId,
      pack_id: purchase.packId,
      credits: credits.toString(),
      clawed_back: purchase.creditsClawedBack.toString(),
      unrecovered: purchase.creditsUnrecovered.toString(),
    },
    trace,
  );
}

/** The credits that `syncClawBack` would make available again for this target. */
export function creditsToReinstate(book: Book, purchase: Purchase, target: bigint): bigint {
  if (purchase.state !== 'PAID' || target >= currentTarget(purchase)) return 0n;
  return hasExpired(grantOf(book, purchase), book.now) ? 0n : clawedBackBeyond(purchase, target);
}

const currentTarget = ({ creditsClawedBack, creditsUnrecovered }: Purchase): bigint =>
  creditsClawedBack + creditsUnrecovered;

/** A lower target cancels unrecovered credits first: the account has had those all along. */
const clawedBackBeyond = ({ creditsClawedBack }: Purchase, target: bigint): bigint =>
  creditsClawedBack > target ? creditsClawedBack - target : 0n;

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
  book.post(
    {
      kind,
      moves: [
        kind === 'CLAW_BACK'
          ? { from: 'available', to: 'issued', grantId, credits }
          : {
              from: 'issued',
              to: hasExpired(grant, book.now) ? 'expired' : 'available',
              grantId,
              credits,
            },
      ],
      credits,
      purchaseId: purchase.purchaseId,
      grantId,
      reference: entryReference(purchase),
      labels: purchase.labels,
    },
    origin,
  );
}
