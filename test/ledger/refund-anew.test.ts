/** Refunds of expired grants on a plan with `refund_expired: new_grant`. */

import { describe, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import { allowance, at, charge, grantCredits, ms, open, plan, refund } from './fixtures.ts';
import { continueLedger, ledger, type Row } from './table.ts';

const ANEW = plan({ refundExpired: 'new_grant' });

/** A grant of 10 for a day, and one of 20 that never expires; entry 3 charges 15. */
const CHARGED: readonly Row[] = [
  [
    '0s',
    grantCredits(10n, { expiresAt: at('1d'), category: 'PROMOTIONAL', priority: 7 }),
    'GRANT 10: issued>g1 10',
    '10',
  ],
  ['0s', grantCredits(20n), 'GRANT 20: issued>g2 20', '30'],
  ['1s', charge(15n), 'CHARGE 15: g1>consumed 10, g2>consumed 5', '15'],
];

describe('a refund of an expired grant', () => {
  test('makes a new grant with the same terms and duration', () => {
    const store = ledger(ANEW, [
      ...CHARGED,
      [
        '3d',
        refund(4n, 8n),
        'REFUND 8: consumed>g2 5, consumed>issued 3 | GRANT 3: issued>g3 3',
        '23',
      ],
    ]);
    expect(store.grants.get(3n)).toMatchObject({
      amount: 3n,
      category: 'PROMOTIONAL',
      priority: 7,
      operations: [],
      source: 'REFUND',
      sourceReference: '1',
      effectiveAt: at('3d'),
      expiresAt: at('3d') + ms('1d'),
    });
    continueLedger(store, [['4d', null, 'GRANT_EXPIRED 3: g3>expired 3', '20']]);
  });

  test('returns that nothing expired and which grant was made', () => {
    const store = ledger(ANEW, CHARGED);
    const { outcome } = store.run(at('3d'), refund(4n));
    expect(outcome).toMatchObject({
      refunded: 15n,
      expired: 0n,
      entrySeq: 5n,
      newGrants: [{ grantId: 3n, amount: 10n }],
    });
    const breakage = ledger(plan(), CHARGED);
    expect(breakage.run(at('3d'), refund(4n)).outcome).toMatchObject({
      refunded: 15n,
      expired: 10n,
      newGrants: [],
    });
  });

  test('in parts makes a grant for each part', () => {
    ledger(ANEW, [
      ...CHARGED,
      ['3d', refund(4n, 5n), 'REFUND 5: consumed>g2 5', '20'],
      ['3d', refund(4n, 4n), 'REFUND 4: consumed>issued 4 | GRANT 4: issued>g3 4', '24'],
      ['3d', refund(4n), 'REFUND 6: consumed>issued 6 | GRANT 6: issued>g4 6', '30'],
      ['3d', refund(4n), 'EXCEEDS_COMMIT', '30'],
    ]);
  });

  test('can be spent, expire and be refunded again', () => {
    ledger(ANEW, [
      CHARGED[0]!,
      ['1s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
      ['2d', refund(3n), 'REFUND 10: consumed>issued 10 | GRANT 10: issued>g2 10', '10'],
      ['2d', charge(9n), 'CHARGE 9: g2>consumed 9', '1'],
      [
        '3d',
        refund(6n),
        'GRANT_EXPIRED 1: g2>expired 1 | REFUND 9: consumed>issued 9 | GRANT 9: issued>g3 9',
        '9',
      ],
    ]);
  });

  test('makes one grant for each expired grant, limited to the same operations', () => {
    const store = ledger(ANEW, [
      [
        '0s',
        grantCredits(5n, { expiresAt: at('1d'), operations: ['b', 'a'] }),
        'GRANT 5: issued>g1 5',
        '5',
      ],
      ['0s', grantCredits(5n, { expiresAt: at('2d') }), 'GRANT 5: issued>g2 5', '10'],
      ['1s', charge({ usages: [] }), 'CHARGE 0', '10'],
      [
        '2s',
        charge({
          usages: [
            { operation: 'a', count: 1n, quantities: mapOf({ pages: 8n }), attributes: new Map() },
          ],
        }),
        'CHARGE 8: g1>consumed 5, g2>consumed 3',
        '2',
      ],
      [
        '9d',
        refund(5n),
        'GRANT_EXPIRED 2: g2>expired 2 | REFUND 8: consumed>issued 3, consumed>issued 5 | GRANT 3: issued>g3 3 | GRANT 5: issued>g4 5',
        '8',
      ],
    ]);
    expect([...store.grants.values()].slice(2)).toMatchObject([
      { sourceReference: '2', operations: [], expiresAt: at('11d') },
      { sourceReference: '1', operations: ['a', 'b'], expiresAt: at('10d') },
    ]);
  });

  test('of an allowance lasts as long as a period, and does not count as an allowance', () => {
    const store = ledger(plan({ refundExpired: 'new_grant', ...allowance(50n) }), [
      ['2026-01-01', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-01-02', charge(50n), 'CHARGE 50: g1>consumed 50', '0'],
      [
        '2026-02-10',
        refund(3n, 20n),
        'GRANT 50: issued>g2 50 | REFUND 20: consumed>issued 20 | GRANT 20: issued>g3 20',
        '70',
      ],
    ]);
    expect(store.grants.get(3n)).toMatchObject({
      category: 'ALLOWANCE',
      source: 'REFUND',
      expiresAt: at('2026-03-13'),
    });
  });
});
