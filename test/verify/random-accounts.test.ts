/** The audit of random accounts from the ledger's own tests. Ledger and audit share no rules. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/ledger/entry.ts';
import { checkGrants } from '../../src/verify/grants.ts';
import { Replay } from '../../src/verify/replay.ts';
import { ReservationReplay } from '../../src/verify/reservation-replay.ts';
import type { AccountStore } from '../ledger/account-store.ts';
import { runScenario, scenarios } from '../ledger/workload.ts';

/** The discrepancies between an account and these entries. */
function audit({ account, grants, entries }: AccountStore, replayed: readonly Entry[] = entries) {
  const found: string[] = [];
  const report = (what: string) => found.push(what);
  const replay = new Replay(account, grants, null, report);
  for (const entry of replayed) replay.apply(entry);
  replay.finish();
  checkGrants(replay, grants, report);
  return found;
}

test('no account has a discrepancy, and reservations are replayed as they were', () => {
  fc.assert(
    fc.property(scenarios(60), (random) => {
      const store = runScenario(random);
      expect(audit(store)).toEqual([]);
      for (const reservation of store.reservations.values()) {
        const replay = new ReservationReplay();
        for (const entry of store.entries)
          if (entry.reservationId === reservation.reservationId)
            replay.apply(entry, (what) => assert.fail(what));
        expect([replay.reserved, replay.committed, replay.returned]).toEqual([
          reservation.credits,
          reservation.committed,
          reservation.returned,
        ]);
      }
    }),
    { numRuns: 300 },
  );
});

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
      expect(audit(store)).toContainEqual(
        `entry ${charge.seq}: takes more of limited grants than the usages of their operations cost`,
      );
      found += 1;
    }),
    { numRuns: 300, seed: 7 },
  );
  expect(found).toBeGreaterThan(30);
});
