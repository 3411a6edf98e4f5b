/** Replays the entries of one reservation: what it holds, what was committed and returned, its state. */
import type { Entry, Move } from '../ledger/entry.ts';
import type { OverCommitPolicy, ReservationState } from '../ledger/reservation.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';

export type ReservationEntry = Pick<
  Entry,
  | 'seq'
  | 'kind'
  | 'at'
  | 'caller'
  | 'moves'
  | 'credits'
  | 'late'
  | 'final'
  | 'usedAt'
  | 'expiresAt'
  | 'overCommitPolicy'
>;

export class ReservationReplay {
  /** Credits that are held, by grant. */
  readonly allocations = new Map<bigint, bigint>();
  /** Credits that its expiry gave back and that were not committed late, by grant. */
  readonly expired = new Map<bigint, bigint>();
  /** Null before the RESERVE. */
  state: ReservationState | null = null;
  /** seq of the RESERVE. */
  entrySeq = 0n;
  /** Of the RESERVE. */
  caller = '';
  policy: OverCommitPolicy | null = null;
  reserved = 0n;
  committed = 0n;
  returned = 0n;
  late = false;
  createdAt = 0;
  /** Null: it does not say when its work was done. */
  usedAt: number | null = null;
  expiresAt = 0;

  get held(): bigint {
    return [...this.allocations.values()].reduce((sum, credits) => sum + credits, 0n);
  }

  get #drawsBeyond(): boolean {
    return this.policy === 'DRAW' || this.policy === 'TAKE';
  }

  /** Applies the reservation's next entry. */
  apply(entry: ReservationEntry, report: Report) {
    if (entry.kind === 'REFUND') return;
    const error = this.#findStateError(entry);
    if (error) report(error);
    if (entry.kind === 'EXPIRE')
      for (const [grantId, credits] of this.allocations) this.expired.set(grantId, credits);
    for (const move of entry.moves) this.#applyMove(move, report);
    if (entry.kind === 'RESERVE') this.#reserve(entry);
    else if (entry.kind === 'RAISE') this.reserved += entry.credits;
    else if (entry.kind === 'EXTEND') this.#extend(entry, report);
    else if (entry.kind === 'COMMIT') this.#commit(entry, report);
    else if (entry.kind === 'RELEASE' || entry.kind === 'EXPIRE') this.#end(entry, report);
  }

  /** Why the entry cannot follow the ones before it; null if it can. */
  #findStateError({ kind, at, late }: ReservationEntry): string | null {
    if (kind === 'RESERVE')
      return this.state === null ? null : 'reserves a reservation that was reserved before';
    if (this.state === null) return `is the ${kind} of a reservation that no entry reserved`;
    if (kind === 'COMMIT' && late)
      return this.state === 'EXPIRED'
        ? null
        : `is a late commit of a reservation that is ${this.state}`;
    if (kind === 'RELEASE' && this.state === 'EXPIRED') return null;
    if (this.state !== 'ACTIVE') return `is the ${kind} of a reservation that is ${this.state}`;
    const expiry = instant(this.expiresAt);
    if (kind === 'EXPIRE') return at < this.expiresAt ? `is before the expiry at ${expiry}` : null;
    return at < this.expiresAt ? null : `is the ${kind} of a reservation that expired at ${expiry}`;
  }

  #applyMove({ from, to, grantId, credits }: Move, report: Report) {
    const before = this.allocations.get(grantId) ?? 0n;
    if (isHeld(to)) this.allocations.set(grantId, before + credits);
    if (!isHeld(from)) return;
    if (credits > before) report(`takes ${credits} that the reservation holds ${before} of`);
    if (credits === before) this.allocations.delete(grantId);
    else this.allocations.set(grantId, before - credits);
  }

  #reserve(entry: ReservationEntry) {
    const { seq, caller, credits, at, usedAt, expiresAt, overCommitPolicy } = entry;
    this.state = 'ACTIVE';
    this.entrySeq = seq;
    this.caller = caller;
    this.reserved = credits;
    this.createdAt = at;
    this.usedAt = usedAt;
    this.expiresAt = expiresAt ?? 0;
    this.policy = overCommitPolicy;
  }

  #extend({ expiresAt }: ReservationEntry, report: Report) {
    if ((expiresAt ?? 0) <= this.expiresAt)
      report(`extends a reservation that expires at ${instant(this.expiresAt)} as it is`);
    this.expiresAt = expiresAt ?? 0;
  }

  #commit({ late, final, moves }: ReservationEntry, report: Report) {
    const sum = (counted: (move: Move) => boolean) =>
      moves.filter(counted).reduce((total, { credits }) => total + credits, 0n);
    const committed = sum(({ to }) => to === 'consumed');
    const returned = sum(({ from, to }) => isHeld(from) && to !== 'consumed');
    const drawn = sum(({ from, to }) => !isHeld(from) && to === 'consumed');
    // Grants that pay in place of held overage: that overage is given back, and does not count as returned.
    const instead = sum(({ from, to }) => from === 'available' && to === 'consumed');
    const overageBack = sum(({ from, to }) => from === 'overage_reserved' && to === 'overage');
    const spared = instead < overageBack ? instead : overageBack;
    this.committed += committed;
    if (this.policy !== 'TAKE' && moves.some(({ from }) => from === 'owed'))
      report(`owes what nothing paid, and its policy is ${this.policy}`);
    if (late) this.#commitLate(committed, moves, report);
    else {
      this.returned += returned - spared;
      if (drawn > spared && !this.#drawsBeyond)
        report(`commits more than the reservation held, and its policy is ${this.policy}`);
      if (final && this.held > 0n) report(`ends a reservation that still holds ${this.held}`);
      if (!final && returned > spared) report('gives credits back, and more commits may follow');
    }
    if (final) this.state = 'COMMITTED';
  }

  #commitLate(committed: bigint, moves: readonly Move[], report: Report) {
    if (committed > this.returned && !this.#drawsBeyond)
      report(`commits more than was given back, and its policy is ${this.policy}`);
    this.late = true;
    this.returned = committed < this.returned ? this.returned - committed : 0n;
    for (const { from, to, grantId, credits } of moves) {
      const left = (this.expired.get(grantId) ?? 0n) - credits;
      if (to !== 'consumed' || from === 'owed') continue;
      if (left > 0n) this.expired.set(grantId, left);
      else this.expired.delete(grantId);
    }
  }

  #end({ kind, moves }: ReservationEntry, report: Report) {
    if (this.held > 0n) report(`ends a reservation that still holds ${this.held}`);
    for (const { credits } of moves) this.returned += credits;
    this.state = kind === 'RELEASE' ? 'RELEASED' : 'EXPIRED';
  }
}

const isHeld = (bucket: Move['from']) => bucket === 'reserved' || bucket === 'overage_reserved';
