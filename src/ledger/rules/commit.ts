/**
 * Commit: charges what a reserved job really used. What is not committed goes back to the grants it
 * came from, in the same entry.
 */
import { Failure } from '../../failure.ts';
import { type Asked, type Priced, priceAsked } from '../asked.ts';
import { type Book, movesOf } from '../book.ts';
import { draw } from '../draw.ts';
import type { Move, Origin } from '../entry.ts';
import {
  type Allocation,
  heldBy,
  type Reservation,
  splitAllocations,
  total,
} from '../reservation.ts';
import { giveBack } from '../settle.ts';
import { reservationEnded, reservationNamed } from './named-reservation.ts';

export type Commit = {
  readonly kind: 'Commit';
  readonly reservationId: string;
  /** Null: all that is held. */
  readonly asked: Asked | null;
  /** False: what is not committed stays reserved. */
  readonly final: boolean;
};

/** What a commit takes, and from where. */
type Taking = {
  /** From what the reservation holds. */
  readonly held: readonly Allocation[];
  /** What the reservation holds beyond that. */
  readonly left: readonly Allocation[];
  /** From what is available, where the policy draws or the reservation had expired. */
  readonly drawn: readonly Allocation[];
};

export function commit(book: Book, command: Commit, origin: Origin) {
  const reservation = reservationNamed(book, command.reservationId);
  if (reservation instanceof Failure) return reservation;
  if (reservation.state === 'COMMITTED') return unchanged(reservation);
  if (reservation.state === 'RELEASED') return reservationEnded(reservation);
  const late = reservation.state === 'EXPIRED';
  if (late && book.now > reservation.expiresAt + book.plan.terms.reservation.graceMs)
    return reservationEnded(reservation);

  const asked: Priced | Failure = command.asked
    ? priceAsked(book, command.asked, reservation)
    : { credits: late ? reservation.returned : heldBy(reservation), lines: [] };
  if (asked instanceof Failure) return asked;
  const taking = late
    ? takeLate(book, reservation, asked.credits)
    : take(book, reservation, asked.credits);
  if (taking instanceof Failure) return taking;
  return post(book, reservation, { ...command, late }, asked, taking, origin);
}

function take(book: Book, reservation: Reservation, credits: bigint): Taking | Failure {
  const held = heldBy(reservation);
  const wanted = withinPolicy(reservation, credits, held);
  if (wanted instanceof Failure) return wanted;
  const beyond = wanted > held ? wanted - held : 0n;
  const drawn = draw(book, beyond);
  if (drawn instanceof Failure) return drawn;
  const { taken, left } = splitAllocations(reservation.allocations, wanted - beyond);
  return { held: taken, left, drawn };
}

/** After the expiry nothing is held any more: all comes from what is available. */
function takeLate(book: Book, reservation: Reservation, credits: bigint): Taking | Failure {
  const wanted = withinPolicy(reservation, credits, reservation.returned);
  if (wanted instanceof Failure) return wanted;
  const drawn = draw(book, wanted);
  // Insufficient here means that the grace came to nothing: the reservation has expired.
  if (drawn instanceof Failure) return reservationEnded(reservation);
  return { held: [], left: [], drawn };
}

function withinPolicy(reservation: Reservation, asked: bigint, allowed: bigint): bigint | Failure {
  if (asked <= allowed || reservation.overCommitPolicy === 'DRAW') return asked;
  if (reservation.overCommitPolicy === 'CAP') return allowed;
  return new Failure(
    'EXCEEDS_RESERVATION',
    `a commit of ${asked} credits exceeds the ${allowed} that the reservation holds`,
    { asked, allowed, reservation_id: reservation.reservationId },
  );
}

function post(
  book: Book,
  reservation: Reservation,
  command: Commit & { late: boolean },
  asked: Priced,
  taking: Taking,
  origin: Origin,
) {
  const split = inBurnOrder(book, merge([...taking.held, ...taking.drawn]));
  const committed = total(split);
  const moves: Move[] = [
    ...movesOf(taking.held, 'reserved', 'consumed'),
    ...movesOf(taking.drawn, 'available', 'consumed'),
    ...(command.final ? giveBack(book, taking.left) : []),
  ];
  const entry = book.post(
    {
      kind: 'COMMIT',
      moves,
      credits: committed,
      reservationId: reservation.reservationId,
      usages: asked.lines,
      planId: reservation.planId,
      rateCardVersion: reservation.rateCardVersion,
      late: command.late,
      reference: reservation.reference,
      labels: reservation.labels,
    },
    origin,
  );
  reservation.committed += committed;
  reservation.late ||= command.late;
  reservation.allocations = command.final ? [] : taking.left;
  if (command.late) reservation.returned -= smaller(committed, reservation.returned);
  else if (command.final) reservation.returned += total(taking.left);
  if (command.final || command.late) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
  }
  book.changes.reservations.change(reservation);
  return {
    kind: 'Commit',
    reservation,
    committed,
    split,
    entrySeq: entry.seq,
    lines: asked.lines,
  } as const;
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** One allocation per grant: what a grant gave from the reservation and beyond it belongs together. */
function merge(allocations: readonly Allocation[]): readonly Allocation[] {
  const byGrant = new Map<bigint, bigint>();
  for (const { grantId, credits } of allocations)
    byGrant.set(grantId, (byGrant.get(grantId) ?? 0n) + credits);
  return [...byGrant].map(([grantId, credits]) => ({ grantId, credits }));
}

/** What burns first can have been drawn last: a grant made since the reservation was. */
function inBurnOrder(book: Book, split: readonly Allocation[]): readonly Allocation[] {
  if (split.length < 2) return split;
  const place = new Map(book.grants.map(({ grantId }, index) => [grantId, index]));
  const placeOf = ({ grantId }: Allocation) => place.get(grantId) ?? place.size;
  return [...split].sort((a, b) => placeOf(a) - placeOf(b));
}

/** The commit of a committed reservation: its state, and no second effect. */
const unchanged = (reservation: Reservation) =>
  ({ kind: 'Commit', reservation, committed: 0n, split: [], entrySeq: 0n, lines: [] }) as const;
