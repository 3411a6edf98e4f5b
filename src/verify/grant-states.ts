/** The states of an account's grants, as its entries leave them. A state changes with a move. */
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant, GrantState } from '../ledger/grant.ts';
import type { BucketSums } from './moves.ts';
import type { VoidedGrants } from './voided-grants.ts';

export class GrantStates {
  readonly #states = new Map<bigint, GrantState>();
  readonly #grants: ReadonlyMap<bigint, Grant>;

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  /** Without a move its credits are not issued yet. */
  of(grantId: bigint): GrantState {
    return this.#states.get(grantId) ?? 'SCHEDULED';
  }

  /** Nothing is left of a grant that was not effective yet. */
  void(grantId: bigint, voided: VoidedGrants) {
    if (voided.of(grantId).unissued === this.#grants.get(grantId)?.amount)
      this.#states.set(grantId, 'VOIDED');
  }

  /** After each move, with the sums after it. */
  apply({ kind, at }: Entry, { grantId, to }: Move, sums: BucketSums) {
    const { available, reserved } = sums.of(grantId);
    const isEmpty = available + reserved === 0n;
    const hasEnded = ['SPENT', 'EXPIRED', 'VOIDED'].includes(this.of(grantId));
    // One that has ended stays what it became first, until a refund gives it credits again.
    if (isEmpty && hasEnded && kind !== 'GRANT_EXPIRED') return;
    const expiresAt = this.#grants.get(grantId)?.expiresAt ?? null;
    const isOver = expiresAt !== null && expiresAt <= at;
    const expires = isOver || (isEmpty && kind === 'GRANT_EXPIRED');
    const empty = to === 'voided' ? 'VOIDED' : 'SPENT';
    this.#states.set(grantId, expires ? 'EXPIRED' : isEmpty ? empty : 'OPEN');
  }
}
