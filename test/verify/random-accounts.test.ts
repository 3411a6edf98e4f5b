/** The audit of random accounts from the ledger's own tests. Ledger and audit share no rules. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoredEntry } from '../../src/ledger/entry.ts';
import { isOver, type Reservation } from '../../src/ledger/reservation.ts';
import { ReservationReplay } from '../../src/verify/reservation-replay.ts';
import { runScenario, scenarios } from '../ledger/workload.ts';
import { auditStore } from './audit-store.ts';

test('no account has a discrepancy, and reservations are replayed as they were', () => {
  fc.assert(
    fc.property(scenarios(60), (random) => {
      const store = runScenario(random);
      expect(auditStore(store)).toEqual([]);
      for (const reservation of store.reservations.values()) {
        const replay = new ReservationReplay();
        for (const entry of store.entries)
          if (entry.reservationId === reservation.reservationId)
            replay.apply(entry, (what) => assert.fail(what));
        expect(replayed(replay)).toEqual(stored(reservation));
      }
    }),
    { numRuns: 300 },
  );
});

const stored = (reservation: Reservation) => ({
  state: reservation.state,
  entrySeq: reservation.entrySeq,
  caller: reservation.caller,
  credits: reservation.credits,
  committed: reservation.committed,
  returned: reservation.returned,
  late: reservation.late,
  createdAt: reservation.createdAt,
  expiresAt: reservation.expiresAt,
  policy: reservation.overCommitPolicy,
  holds: sorted(reservation.allocations.map(({ grantId, credits }) => [grantId, credits])),
  gaveBack: isOver(reservation)
    ? null
    : sorted(reservation.expiredAllocations.map(({ grantId, credits }) => [grantId, credits])),
});

const replayed = (replay: ReservationReplay): ReturnType<typeof stored> => ({
  state: replay.state as Reservation['state'],
  entrySeq: replay.entrySeq,
  caller: replay.caller,
  credits: replay.reserved,
  committed: replay.committed,
  returned: replay.returned,
  late: replay.late,
  createdAt: replay.createdAt,
  expiresAt: replay.expiresAt,
  policy: replay.policy as Reservation['overCommitPolicy'],
  holds: sorted([...replay.allocations]),
  gaveBack: ['COMMITTED', 'RELEASED'].includes(replay.state ?? '')
    ? null
    : sorted([...replay.expired]),
});

const sorted = (allocations: readonly (readonly [bigint, bigint])[]) =>
  allocations.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([id, credits]) => `${id}: ${credits}`);

test('credits of a limited grant that were spent on another operation are found', () => {
  let found = 0;
  fc.assert(
    fc.property(scenarios(60), (random) => {
      const store = runScenario(random);
      const charge = store.entries.find(
        ({ kind, moves, usages }) =>
          kind === 'CHARGE' &&
          usages.length === 1 &&
          moves.length === 1 &&
          moves[0]?.from === 'available' &&
          store.grants.get(moves[0].grantId)?.operations.length === 0,
      );
      if (!charge) return;
      // Pretends that the grant was always limited to another operation.
      const grantId = charge.moves[0]?.grantId ?? 0n;
      const grant = store.grants.get(grantId);
      assert(grant);
      store.grants.set(grantId, { ...grant, operations: ['another'] });
      const isOf = (kinds: readonly string[]) => (entry: StoredEntry) =>
        entry.grantId === grantId && kinds.includes(entry.kind);
      if (store.entries.some(isOf(['UPDATE_GRANT']))) return;
      const made = store.entries.findIndex(isOf(['GRANT', 'PURCHASE']));
      const { details, ...entry } = store.entries[made] ?? assert.fail('no entry made the grant');
      store.entries[made] = { ...entry, details: { ...details, operations: 'another' } };
      expect(auditStore(store)).toContainEqual(
        `entry ${charge.seq}: takes more of limited grants than the usages of their operations cost`,
      );
      found += 1;
    }),
    { numRuns: 500, seed: 7 },
  );
  expect(found).toBeGreaterThan(30);
});
