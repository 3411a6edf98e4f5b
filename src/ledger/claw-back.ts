/**
 * Claw-backs: takes back the credits of a purchase whose money was refunded or is disputed, and
 * reinstates them when a dispute is won.
 *
 * The target is the number of credits that refunds and disputes claim so far. Only credits that are
 * neither spent nor reserved can be clawed back; the rest is recorded as unrecovered. Clawed back and
 * unrecovered credits always add up to the target, so the same target again changes nothing, even if
 * more credits could be taken by now. Of unrecovered credits the account owes those that were used: see `owed.ts`.
 */
import { min } from '../min.ts';
import type { Book } from './book.ts';
import { ACCOUNT_CREDITS_MAX } from './credit-limit.ts';
import {
  type BucketKind,
  type Move,
  NO_GRANT,
  type Origin,
  serviceOrigin,
  type Trace,
} from './entry.ts';
import { scheduleExpiry } from './expiry-notice.ts';
import { type Grant, grantAvailable, hasExpired } from './grant.ts';
import { grantPaidOwed, usedCredits } from './owed.ts';
import type { Purchase } from './purchase.ts';
import { entryReference } from './purchase-lifecycle.ts';

/** Claws back or reinstates credits of a paid purchase until it meets the target. */
export function syncClawBack(book: Book, purchase: Purchase, target: bigint, origin: Origin) {
  const increase = target - currentTarget(purchase);
  const grant = grantOf(book, purchase);
  const ownOrigin = serviceOrigin(origin);
  if (increase > 0n) {
    const taken = min(grantAvailable(grant), increase);
    const used = usedCredits(grant, purchase.creditsClawedBack, book.now) - purchase.creditsOwed;
    const owed = used > 0n ? min(min(increase - taken, used), roomToOwe(book)) : 0n;
    purchase.creditsClawedBack += taken;
    purchase.creditsUnrecovered += increase - taken;
    purchase.creditsOwed += owed;
    const moves = [
      ...movesOf('available', 'issued', grant.grantId, taken),
      ...movesOf('owed', 'issued', NO_GRANT, owed),
    ];
    if (moves.length > 0) post(book, purchase, 'CLAW_BACK', moves, ownOrigin);
    tell(book, purchase, 'purchase.clawed_back', taken, ownOrigin);
  } else if (increase < 0n) {
    const reinstated = clawedBackBeyond(purchase, target);
    purchase.creditsClawedBack -= reinstated;
    purchase.creditsUnrecovered = target - purchase.creditsClawedBack;
    reinstate(book, purchase, reinstated, ownOrigin);
    tell(book, purchase, 'purchase.reinstated', reinstated, ownOrigin);
  }
}

/** Sums of what an account owes are int64. The money is gone whether or not the account owes what it bought. */
const roomToOwe = ({ account }: Book): bigint =>
  account.owed < ACCOUNT_CREDITS_MAX ? ACCOUNT_CREDITS_MAX - account.owed : 0n;

/** Gives clawed back credits to their grant again, and cancels what the account owes no longer of the purchase. */
function reinstate(book: Book, purchase: Purchase, credits: bigint, origin: Origin) {
  const grant = grantOf(book, purchase);
  const isOver = hasExpired(grant, book.now);
  const owed = min(purchase.creditsOwed, purchase.creditsUnrecovered);
  const lifted = purchase.creditsOwed - owed;
  const cancelled = min(lifted, book.account.owed);
  purchase.creditsOwed = owed;
  const moves = [
    ...movesOf('issued', 'owed', NO_GRANT, cancelled),
    ...movesOf('issued', isOver ? 'expired' : 'available', grant.grantId, credits),
  ];
  if (credits + lifted > 0n) post(book, purchase, 'REINSTATE', moves, origin);
  if (credits > 0n && !isOver) scheduleExpiry(book, grant, origin);
  const { labels } = purchase;
  if (lifted > cancelled)
    grantPaidOwed(
      book,
      lifted - cancelled,
      { reference: entryReference(purchase), labels },
      origin,
    );
}

const movesOf = (
  from: BucketKind,
  to: BucketKind,
  grantId: bigint,
  credits: bigint,
): readonly Move[] => (credits > 0n ? [{ from, to, grantId, credits }] : []);

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
      owed: purchase.creditsOwed.toString(),
    },
    trace,
  );
}

/** The credits that `syncClawBack` would make available again for this target, at most. */
export function creditsToReinstate(book: Book, purchase: Purchase, target: bigint): bigint {
  if (purchase.state !== 'PAID' || target >= currentTarget(purchase)) return 0n;
  const isOver = hasExpired(grantOf(book, purchase), book.now);
  return (isOver ? 0n : clawedBackBeyond(purchase, target)) + purchase.creditsOwed;
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
  moves: readonly Move[],
  origin: Origin,
) {
  book.post(
    {
      kind,
      moves,
      credits: moves.reduce((sum, { credits }) => sum + credits, 0n),
      purchaseId: purchase.purchaseId,
      grantId: grantOf(book, purchase).grantId,
      reference: entryReference(purchase),
      labels: purchase.labels,
    },
    origin,
  );
}
