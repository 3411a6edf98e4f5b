/** The states of an account's grants, as its entries leave them. A state changes with a move. */
import type { Entry } from '../ledger/entry.ts';
import type { Grant, GrantState } from '../ledger/grant.ts';
import type { BucketSums } from './moves.ts';

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

  /** After each move, with the sums after it. */
  apply({ kind, at }: Entry, grantId: bigint, sums: BucketSums) {
    const { available, reserved } = sums.of(grantId);
    const isEmpty = available + reserved === 0n;
    const hasEnded = ['SPENT', 'EXPIRED'].includes(this.of(grantId));
    // One that has ended stays what it became first, until a refund gives it credits again.
    if (isEmpty && hasEnded && kind !== 'GRANT_EXPIRED') return;
    const expiresAt = this.#grants.get(grantId)?.expiresAt ?? null;
    const isOver = expiresAt !== null && expiresAt <= at;
    const expires = isOver || (isEmpty && kind === 'GRANT_EXPIRED');
    this.#states.set(grantId, expires ? 'EXPIRED' : isEmpty ? 'SPENT' : 'OPEN');
  }
}
