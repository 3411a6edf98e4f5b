/** Replays the entries of one reservation: what it holds, what was committed and returned, its state. */
import type { Entry, Move } from '../ledger/entry.ts';
import type { ReservationState } from '../ledger/reservation.ts';
import type { Report } from './findings.ts';

export type ReservationEntry = Pick<Entry, 'kind' | 'at' | 'moves' | 'credits' | 'late' | 'final'>;

export class ReservationReplay {
  /** Credits that are held, by grant. */
  readonly allocations = new Map<bigint, bigint>();
  /** Null before the RESERVE. */
  state: ReservationState | null = null;
  reserved = 0n;
  committed = 0n;
  returned = 0n;
  /** Whether a commit took credits that the reservation did not hold. */
  drew = false;
  late = false;
  createdAt = 0;
  /** The time of the last entry that may have ended it. */
  endedAt = 0;

  get held(): bigint {
    return [...this.allocations.values()].reduce((sum, credits) => sum + credits, 0n);
  }

  /**
   * Entries of earlier versions do not say whether a commit was final, and one of all that is held looks
   * the same either way.
   */
  mayBeActive = false;

  /** Applies the reservation's next entry. */
  apply(entry: ReservationEntry, report: Report) {
    if (entry.kind === 'REFUND') return;
    const error = this.#findStateError(entry);
    if (error) report(error);
    for (const move of entry.moves) this.#applyMove(move, report);
    if (entry.kind === 'RESERVE') {
      this.state = 'ACTIVE';
      this.reserved = entry.credits;
      this.createdAt = entry.at;
    } else if (entry.kind === 'RAISE') {
      this.state = 'ACTIVE';
      this.reserved += entry.credits;
    } else if (entry.kind === 'COMMIT') this.#commit(entry);
    else this.#end(entry, report);
  }

  /** Why the entry cannot follow the ones before it; null if it can. */
  #findStateError({ kind, late }: ReservationEntry): string | null {
    if (kind === 'RESERVE')
      return this.state === null ? null : 'reserves a reservation that was reserved before';
    if (this.state === null) return `is the ${kind} of a reservation that no entry reserved`;
    if (kind === 'COMMIT' && late)
      return this.state === 'EXPIRED'
        ? null
        : `is a late commit of a reservation that is ${this.state}`;
    if (this.state === 'ACTIVE' || this.mayBeActive) return null;
    if (kind === 'RELEASE' && this.state === 'EXPIRED') return null;
    return `is the ${kind} of a reservation that is ${this.state}`;
  }

  #applyMove({ from, to, grantId, credits }: Move, report: Report) {
    const before = this.allocations.get(grantId) ?? 0n;
    if (isHeld(to)) this.allocations.set(grantId, before + credits);
    if (!isHeld(from)) return;
    if (credits > before) report(`takes ${credits} that the reservation holds ${before} of`);
    if (credits === before) this.allocations.delete(grantId);
    else this.allocations.set(grantId, before - credits);
  }

  #commit({ at, late, final, moves }: ReservationEntry) {
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
    this.endedAt = at;
    if (late) {
      this.late = true;
      this.returned = committed < this.returned ? this.returned - committed : 0n;
    } else {
      this.returned += returned - spared;
      this.drew ||= drawn > spared;
    }
    this.mayBeActive = final === null && !late && returned === 0n && this.held === 0n;
    const isOver = final ?? (late || returned > 0n || this.held === 0n);
    if (isOver) this.state = 'COMMITTED';
  }

  #end({ kind, at, moves }: ReservationEntry, report: Report) {
    if (this.held > 0n) report(`ends a reservation that still holds ${this.held}`);
    for (const { credits } of moves) this.returned += credits;
    this.state = kind === 'RELEASE' ? 'RELEASED' : 'EXPIRED';
    this.endedAt = at;
    this.mayBeActive = false;
  }
}

const isHeld = (bucket: Move['from']) => bucket === 'reserved' || bucket === 'overage_reserved';
