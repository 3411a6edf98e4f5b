/**
 * The shadow of an account: what its work of shadow mode uses, the jobs of that work, and what a unit of work decided
 * of it. The account's Book stays as it is.
 */
import type { Reason } from '../../failure.ts';
import { isInShadowMode } from '../account.ts';
import type { Book } from '../book.ts';
import type { Command } from '../decide.ts';
import type { UnsealedEntry } from '../entry.ts';
import type { RefundableEntry } from '../refundable.ts';
import type { Reservation } from '../reservation.ts';
import { FIRST_SHADOW_SEQ, type ShadowUse } from './shadow-use.ts';

/** Why work would have been refused. */
export type Refusal = {
  readonly reason: Reason;
  /** The values of the error. */
  readonly details: Readonly<Record<string, string>>;
};

/** A job of shadow mode. */
export type ShadowReservation = Reservation & {
  /** Whether Reserve would have been refused: the over-commit grant pays for it, and no budget counts it. */
  readonly isRefused: boolean;
};

/** A commit or charge of shadow mode. */
export type ShadowRefundable = RefundableEntry & { readonly isRefused: boolean };

/** What would have been an entry. */
export type ShadowDecision = UnsealedEntry & {
  /** Null: it would have been allowed. */
  readonly refusal: Refusal | null;
  /** What would have been available after it. Negative: only overage is reserved. */
  readonly availableAfter: bigint;
};

/** For maps of the requests of one account. */
export const nameOfRequest = (kind: Command['kind'], requestId: string): string =>
  `${kind} ${requestId}`;

export class Shadow {
  use: ShadowUse;
  readonly reservations: Map<string, ShadowReservation>;
  readonly refundables: Map<bigint, ShadowRefundable>;
  /** Of this unit of work. */
  readonly decisions: ShadowDecision[] = [];
  readonly changedReservations = new Set<string>();
  /** Of the requests of an atomic batch of which one would have been refused, by `nameOfRequest`. Null: none is decided. */
  batchRefusals: ReadonlyMap<string, Refusal> | null = null;

  constructor(
    use: ShadowUse,
    reservations: readonly ShadowReservation[],
    refundables: readonly ShadowRefundable[],
  ) {
    this.use = use;
    this.reservations = new Map(reservations.map((one) => [one.reservationId, one]));
    this.refundables = new Map(refundables.map((one) => [one.seq, one]));
  }

  /**
   * Whether a command is decided here. Work that begins belongs to the mode that the account is in; what follows
   * belongs to the mode in which its job began.
   */
  takes({ account }: Book, command: Command): boolean {
    switch (command.kind) {
      case 'Reserve':
      case 'Charge':
        return isInShadowMode(account);
      case 'Commit':
      case 'Release':
      case 'ExtendReservation':
      case 'RaiseReservation':
        return this.reservations.has(command.reservationId);
      case 'Refund':
        return command.seq > FIRST_SHADOW_SEQ;
      default:
        return false;
    }
  }

  /** A copy, of which what is decided changes nothing here. */
  copy(): Shadow {
    const copy = new Shadow(
      this.use,
      Array.from(this.reservations.values(), (one) => ({ ...one })),
      Array.from(this.refundables.values(), (one) => ({ ...one })),
    );
    copy.decisions.push(...this.decisions);
    for (const reservationId of this.changedReservations)
      copy.changedReservations.add(reservationId);
    return copy;
  }
}
