/** A reservation that was committed or released, from its entries: it has no row any more. */
import assert from 'node:assert/strict';
import { min } from '../min.ts';
import { amountKey } from './amount-key.ts';
import type { Entry, Move } from './entry.ts';
import type { Reservation } from './reservation.ts';

/** `entries` are all entries of one reservation, refunds of its commits excepted, in the order of their seq. */
export function reservationFromEntries(entries: readonly Entry[]): Reservation {
  const [first, ...later] = entries;
  assert(first?.kind === 'RESERVE', 'the first entry of a reservation is its RESERVE');
  const { reservationId, rateCardVersion, overCommitPolicy, expiresAt } = first;
  assert(reservationId !== null && rateCardVersion !== null, 'a RESERVE has a rate card');
  assert(overCommitPolicy !== null && expiresAt !== null, 'a RESERVE has a policy and an expiry');
  const reservation: Reservation = {
    accountId: first.accountId,
    reservationId,
    entrySeq: first.seq,
    state: 'ACTIVE',
    credits: first.credits,
    committed: 0n,
    returned: 0n,
    allocations: [],
    expiredAllocations: [],
    heldFor: null,
    heldByOperation: null,
    expiresAt,
    createdAt: first.at,
    usedAt: first.usedAt,
    endedAt: null,
    endedAsking: null,
    overCommitPolicy,
    planId: first.planId,
    rateCardVersion,
    caller: first.caller,
    reference: first.reference,
    labels: first.labels,
    late: false,
  };
  for (const entry of later) apply(reservation, entry);
  return reservation;
}

function apply(reservation: Reservation, entry: Entry) {
  switch (entry.kind) {
    case 'RAISE':
      reservation.credits += entry.credits;
      return;
    case 'EXTEND':
      reservation.expiresAt = entry.expiresAt ?? reservation.expiresAt;
      return;
    case 'COMMIT':
      applyCommit(reservation, entry);
      return;
    case 'EXPIRE':
    case 'RELEASE':
      reservation.state = entry.kind === 'EXPIRE' ? 'EXPIRED' : 'RELEASED';
      reservation.returned += entry.credits;
      reservation.endedAt = entry.kind === 'EXPIRE' ? reservation.expiresAt : entry.at;
      return;
    default:
      assert.fail(`a ${entry.kind} is no entry of a reservation`);
  }
}

function applyCommit(reservation: Reservation, entry: Entry) {
  const { at, credits, asked, usages, late, final } = entry;
  reservation.committed += credits;
  if (late) {
    reservation.late = true;
    reservation.returned -= min(credits, reservation.returned);
  } else reservation.returned += returnedCredits(entry.moves);
  if (!final) return;
  reservation.state = 'COMMITTED';
  reservation.endedAt = at;
  reservation.endedAsking = amountKey({ credits: asked ?? credits, lines: usages });
}

/** What a commit gave back, without held overage in whose place grants paid. */
function returnedCredits(moves: readonly Move[]): bigint {
  const sum = (from: Move['from'], isTo: (to: Move['to']) => boolean) =>
    moves.reduce(
      (total, move) => (move.from === from && isTo(move.to) ? total + move.credits : total),
      0n,
    );
  const overage = sum('overage_reserved', (to) => to === 'overage');
  const spared = min(
    overage,
    sum('available', (to) => to === 'consumed'),
  );
  return sum('reserved', (to) => to !== 'consumed') + overage - spared;
}
