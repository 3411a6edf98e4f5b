/** Replays the entries of one reservation: what it holds, what was committed and returned, its state. */
import type { Entry, Move } from '../ledger/entry.ts';
import type { ReservationState } from '../ledger/reservation.ts';
import type { Report } from './findings.ts';

export type ReservationEntry = Pick<Entry, 'kind' | 'at' | 'moves' | 'credits' | 'late'>;

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

  /** A commit of all that is held looks the same whether or not it was final. */
  get mayBeActive(): boolean {
    return this.state === 'COMMITTED' && !this.late && this.returned === 0n;
  }

  /** Applies the reservation's next entry. */
  apply(entry: ReservationEntry, report: Report) {
    if (entry.kind === 'REFUND') return;
    const error = this.#findStateError(entry);
    if (error) report(error);
    const returnedBefore = this.returned;
    for (const move of entry.moves) this.#applyMove(move, report);
    if (entry.kind === 'RESERVE') {
      this.state = 'ACTIVE';
      this.reserved = entry.credits;
      this.createdAt = entry.at;
    } else if (entry.kind === 'RAISE') {
      this.state = 'ACTIVE';
      this.reserved += entry.credits;
    } else if (entry.kind === 'COMMIT') this.#commit(entry, returnedBefore);
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
    return `is the ${kind} of a reservation that is ${this.state}`;
  }

  #applyMove({ from, to, grantId, credits }: Move, report: Report) {
    const isHeld = (bucket: Move['from']) => bucket === 'reserved' || bucket === 'overage_reserved';
    const before = this.allocations.get(grantId) ?? 0n;
    if (isHeld(to)) this.allocations.set(grantId, before + credits);
    if (isHeld(from)) {
      if (credits > before) report(`takes ${credits} that the reservation holds ${before} of`);
      if (credits === before) this.allocations.delete(grantId);
      else this.allocations.set(grantId, before - credits);
      if (to !== 'consumed') this.returned += credits;
    } else if (to === 'consumed') this.drew = true;
    if (to === 'consumed') this.committed += credits;
  }

  #commit({ at, late, credits }: ReservationEntry, returnedBefore: bigint) {
    this.endedAt = at;
    if (late) {
      this.late = true;
      this.returned = credits < this.returned ? this.returned - credits : 0n;
    }
    const isOver = late || this.returned > returnedBefore || this.held === 0n;
    this.state = isOver ? 'COMMITTED' : 'ACTIVE';
  }

  #end({ kind, at }: ReservationEntry, report: Report) {
    if (this.held > 0n) report(`ends a reservation that still holds ${this.held}`);
    this.state = kind === 'RELEASE' ? 'RELEASED' : 'EXPIRED';
    this.endedAt = at;
  }
}
