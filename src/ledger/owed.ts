/**
 * What an account owes: usage that was charged though nothing could pay it (policy TAKE), and spent credits of a
 * purchase whose money was taken back. It is no overage, and no statement bills it. Later credits pay it where
 * the plan says so.
 */
import { min } from '../min.ts';
import type { Book } from './book.ts';
import {
  type EntryDraft,
  type Move,
  NO_GRANT,
  type Origin,
  serviceOrigin,
  type UnsealedEntry,
} from './entry.ts';
import { DEFAULT_PRIORITY, type Grant, grantAvailable, hasExpired, isLimited } from './grant.ts';
import { grantDetails } from './grant-details.ts';

/**
 * Pays what is owed with the credits that moves have just made available, in the order of the moves. Called for
 * every entry, so the credits of a period that is over pay, too, before they expire. Limited credits pay for their
 * operations only.
 */
export function payOwed(book: Book, moves: readonly Move[], origin: Origin) {
  if (!book.plan.terms.payOwed) return;
  let left = book.account.owed;
  const paying: Move[] = [];
  for (const { to, grantId, credits } of moves) {
    if (to !== 'available' || left === 0n) continue;
    const grant = book.getGrant(grantId);
    if (isLimited(grant)) continue;
    const paid = min(min(credits, grantAvailable(grant)), left);
    if (paid === 0n) continue;
    paying.push({ from: 'available', to: 'owed', grantId, credits: paid });
    left -= paid;
  }
  if (paying.length === 0) return;
  const credits = book.account.owed - left;
  book.post({ kind: 'PAY_OWED', moves: paying, credits }, serviceOrigin(origin));
}

/** What the next credits pay before anything can be done with them. */
export const creditsOwedFirst = ({ account, plan }: Book): bigint =>
  plan.terms.payOwed ? account.owed : 0n;

/** Tells subscribers that an entry has changed what the account owes. */
export function tellOfOwed(
  book: Book,
  { kind, seq }: Pick<UnsealedEntry, 'kind' | 'seq'>,
  change: bigint,
  origin: Origin,
) {
  const { owed } = book.account;
  book.changes.settings = true;
  const lowered = kind === 'PAY_OWED' ? 'owed.paid' : 'owed.cancelled';
  book.emitEvent(
    change > 0n ? 'owed.added' : lowered,
    {
      credits: (change > 0n ? change : -change).toString(),
      owed: owed.toString(),
      kind,
      entry_seq: seq.toString(),
    },
    origin,
  );
}

/**
 * What the credits of a purchase that were neither left nor clawed back have been used for, at most: jobs spent
 * them or hold them. Nothing of an expired grant: its row does not say what of it was breakage.
 */
export function usedCredits(grant: Grant, clawedBack: bigint, now: number): bigint {
  if (hasExpired(grant, now)) return 0n;
  return grant.amount - grantAvailable(grant) - grant.voided - clawedBack;
}

/**
 * Grants again what others have paid of a debt that is cancelled now: the debt is gone, and what paid it was not
 * owed after all. Which grants paid is not asked: the new grant is unlimited and never expires.
 */
export function grantPaidOwed(
  book: Book,
  credits: bigint,
  { reference, labels }: Required<Pick<EntryDraft, 'reference' | 'labels'>>,
  origin: Origin,
): Grant {
  const grant = book.addGrant({
    amount: credits,
    category: 'ADJUSTMENT',
    priority: DEFAULT_PRIORITY,
    effectiveAt: book.now,
    expiresAt: null,
    source: 'REFUND',
    sourceReference: NO_GRANT.toString(),
    state: 'OPEN',
  });
  const { grantId } = grant;
  book.post(
    {
      kind: 'GRANT',
      moves: [{ from: 'issued', to: 'available', grantId, credits }],
      credits,
      grantId,
      details: grantDetails(grant),
      reference,
      labels,
    },
    origin,
  );
  return grant;
}
