/** Applies moves to the balances of an account and its grants, and asserts the invariants of both. */
import assert from 'node:assert/strict';
import type { Account } from './account.ts';
import type { Book } from './book.ts';
import { type Move, NO_GRANT } from './entry.ts';
import { currentGrantState, type Grant, hasExpired, isLimited } from './grant.ts';

/** Throws on a move that breaks an invariant: that is a bug of a rule. */
export function applyMoves(book: Book, moves: readonly Move[]) {
  for (const move of moves) {
    assert(move.credits > 0n, 'a move has more than 0 credits');
    const grant = move.grantId === NO_GRANT ? null : book.getGrant(move.grantId);
    const hadCredits = grant !== null && grant.remaining > 0n;
    addToBucket(book.account, grant, move.from, -move.credits);
    addToBucket(book.account, grant, move.to, move.credits);
    if (!grant) continue;
    if (grant.remaining > 0n !== hadCredits)
      book.account.granted += hadCredits ? -grant.amount : grant.amount;
    // A refund gives a spent grant credits again: settling may have found no limited one since.
    if (grant.remaining > 0n && isLimited(grant)) book.account.hasLimitedGrants = true;
    if (move.to === 'voided') voidCredits(book, grant, move);
    grant.state = currentGrantState(grant, book.now);
    book.changes.grants.markChanged(grant);
  }
}

/** A grant whose last credits are voided is VOIDED, unless it has expired or was used up before. */
function voidCredits(book: Book, grant: Grant, { from, credits }: Move) {
  grant.voided += credits;
  if (from !== 'available') grant.voidOnReturn -= credits;
  assert(grant.voidOnReturn >= 0n, 'no more comes back void than was to be voided');
  const tookTheLast = from !== 'consumed' && grant.remaining === 0n;
  if (tookTheLast && !hasExpired(grant, book.now)) grant.state = 'VOIDED';
  book.markGrantTerms(grant);
}

function addToBucket(account: Account, grant: Grant | null, bucket: Move['from'], credits: bigint) {
  switch (bucket) {
    case 'available':
    case 'reserved': {
      assert(grant, `${bucket} is a bucket of a grant`);
      grant.remaining += credits;
      account.remaining += credits;
      if (bucket === 'reserved') {
        grant.reserved += credits;
        account.reserved += credits;
      }
      assert(
        grant.reserved >= 0n && grant.reserved <= grant.remaining,
        '0 <= reserved <= remaining',
      );
      assert(grant.remaining <= grant.amount, 'remaining <= amount of the grant');
      return;
    }
    case 'overage_reserved':
      account.overageReserved += credits;
      account.overage -= credits;
      return;
    case 'overage':
      account.overage -= credits;
      return;
    case 'owed':
      account.owed -= credits;
      return;
    default:
      return; // issued, consumed, expired and voided have no balance: their sums follow from the entries
  }
}

/** Throws if the account's balances break an invariant. */
export function assertInvariants({
  remaining,
  reserved,
  overage,
  overageReserved,
  overageLimit,
  owed,
}: Account) {
  assert(reserved >= 0n && reserved <= remaining, '0 <= reserved <= remaining of the account');
  assert(overage >= 0n && overageReserved >= 0n, 'overage is not negative');
  assert(overage + overageReserved <= overageLimit, 'overage is within its limit');
  assert(owed >= 0n, 'owed is not negative');
}
