/** A reservation's life as its entries report it: what it holds, what became of the rest, how it ended. */
import type { Entry, Move } from '../ledger/entry.ts';
import type { ReservationState } from '../ledger/reservation.ts';

/** What is needed of an entry here. */
export type ReservationEntry = Pick<Entry, 'kind' | 'at' | 'moves' | 'credits' | 'late'>;

export class ReservationReplay {
  readonly allocations = new Map<bigint, bigint>();
  /** Null before the RESERVE. */
  state: ReservationState | null = null;
  reserved = 0n;
  committed = 0n;
  returned = 0n;
  drew = false;
  late = false;
  createdAt = 0;
  /** When it ended, or may have. */
  endedAt = 0;

  get held(): bigint {
    return [...this.allocations.values()].reduce((sum, credits) => sum + credits, 0n);
  }

  /** A commit of the very last credit looks the same whether or not it was meant to be final. */
  get mayBeActive(): boolean {
    return this.state === 'COMMITTED' && !this.late && this.returned === 0n;
  }

  take(step: ReservationEntry, report: (what: string) => void) {
    if (step.kind === 'REFUND') return;
    const wrong = this.#outOfPlace(step);
    if (wrong) report(wrong);
    const returnedBefore = this.returned;
    for (const move of step.moves) this.#apply(move, report);
    if (step.kind === 'RESERVE') {
      this.state = 'ACTIVE';
      this.reserved = step.credits;
      this.createdAt = step.at;
    } else if (step.kind === 'RAISE') {
      this.state = 'ACTIVE';
      this.reserved += step.credits;
    } else if (step.kind === 'COMMIT') this.#commit(step, returnedBefore);
    else this.#end(step, report);
  }

  #outOfPlace({ kind, late }: ReservationEntry): string | null {
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

  #apply({ from, to, grantId, credits }: Move, report: (what: string) => void) {
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
    const over = late || this.returned > returnedBefore || this.held === 0n;
    this.state = over ? 'COMMITTED' : 'ACTIVE';
  }

  #end({ kind, at }: ReservationEntry, report: (what: string) => void) {
    if (this.held > 0n) report(`ends a reservation that still holds ${this.held}`);
    this.state = kind === 'RELEASE' ? 'RELEASED' : 'EXPIRED';
    this.endedAt = at;
  }
}
