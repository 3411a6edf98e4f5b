/** The auditor on the random lives of the ledger's own tests: two that know nothing of each other. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/ledger/entry.ts';
import { checkGrants } from '../../src/verify/grants.ts';
import { Replay } from '../../src/verify/replay.ts';
import { ReservationReplay } from '../../src/verify/reservation-replay.ts';
import type { Shelf } from '../ledger/shelf.ts';
import { life, live } from '../ledger/workload.ts';

/** What the auditor finds on a shelf whose entries are these. */
function findings({ account, grants, entries }: Shelf, said: readonly Entry[] = entries) {
  const found: string[] = [];
  const tell = (what: string) => found.push(what);
  const replay = new Replay(account, grants, null, tell);
  for (const entry of said) replay.take(entry);
  replay.close();
  checkGrants(replay, grants, tell);
  return found;
}

test('the auditor agrees with every life, and with what became of its reservations', () => {
  fc.assert(
    fc.property(life(60), (random) => {
      const shelf = live(random);
      expect(findings(shelf)).toEqual([]);
      for (const reservation of shelf.reservations.values()) {
        const told = new ReservationReplay();
        for (const entry of shelf.entries)
          if (entry.reservationId === reservation.reservationId)
            told.take(entry, (what) => assert.fail(what));
        expect([told.reserved, told.committed, told.returned]).toEqual([
          reservation.credits,
          reservation.committed,
          reservation.returned,
        ]);
      }
    }),
    { numRuns: 300 },
  );
});

test('the auditor finds every limit that is not kept', () => {
  let found = 0;
  fc.assert(
    fc.property(life(60), (random) => {
      const shelf = live(random);
      const charged = shelf.entries.find(
        ({ kind, moves, usages }) =>
          kind === 'CHARGE' &&
          usages.length === 1 &&
          moves.length === 1 &&
          moves[0]?.from === 'available' &&
          shelf.grants.get(moves[0].grantId)?.operations.length === 0,
      );
      if (!charged) return;
      // The grant had been limited to something else all the time.
      const grantId = charged.moves[0]?.grantId ?? 0n;
      const grant = shelf.grants.get(grantId);
      assert(grant);
      shelf.grants.set(grantId, { ...grant, operations: ['another'] });
      expect(findings(shelf)).toContainEqual(
        `entry ${charged.seq}: takes more of limited grants than the usages of their operations cost`,
      );
      found += 1;
    }),
    { numRuns: 300, seed: 7 },
  );
  expect(found).toBeGreaterThan(30);
});
