/** What UpdateGrant makes possible is no discrepancy, though no other command could have written it. */
import { expect, test } from 'vitest';
import {
  allowance,
  checkout,
  pack,
  paid,
  plan,
  syncPurchase,
  updateGrant,
} from '../ledger/fixtures.ts';
import { ledger } from '../ledger/table.ts';
import { auditStore } from './audit-store.ts';

test('credits of a pack that were limited to an operation are clawed back for none', () => {
  const store = ledger(plan({}, [pack('small', 100n, '10.00')]), [
    ['0s', checkout('small'), 'CHECKOUT', '0'],
    ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
    ['2h', updateGrant(1n, { operations: ['a'] }), 'UPDATE_GRANT', '100'],
    ['3h', syncPurchase('p1', 1, paid(500n)), 'CLAW_BACK 50: g1>issued 50 | PAYMENT', '50'],
  ]);
  expect(auditStore(store)).toEqual([]);
});

test('an allowance whose expiry was taken away lapses at the end of its period', () => {
  const store = ledger(plan(allowance(50n)), [
    ['2026-01-10', null, 'nothing', '50'],
    ['2026-01-20', updateGrant(1n, { expiresAt: null }), 'UPDATE_GRANT', '50'],
    ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
  ]);
  expect(auditStore(store)).toEqual([]);
});
