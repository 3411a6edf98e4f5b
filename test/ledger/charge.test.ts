import { describe, expect, test } from 'vitest';
import { at, charge, grantCredits, pages, plan } from './fixtures.ts';
import { ledger } from './table.ts';

describe('a charge', () => {
  test('reserves and commits in one entry', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', grantCredits(15n, { priority: 1 }), 'GRANT 15: issued>g2 15', '25'],
      ['1s', charge(0n), 'CHARGE 0', '25'],
      ['2s', charge(pages(20n)), 'CHARGE 20: g2>consumed 15, g1>consumed 5', '5'],
      ['3s', charge(6n), 'INSUFFICIENT_CREDITS: required 6, available 5, shortfall 1', '5'],
      ['4s', charge(5n), 'CHARGE 5: g1>consumed 5', '0'],
    ]);
    expect([...store.grants.values()].map(({ state }) => state)).toEqual(['SPENT', 'SPENT']);
  });

  test('returns its price line by line, and the grants that paid', () => {
    const store = ledger(plan(), [['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100']]);
    expect(store.run(at('1s'), charge(pages(20n))).outcome).toMatchObject({
      credits: 20n,
      split: [{ grantId: 1n, credits: 20n }],
      entrySeq: 3n,
      lines: [{ unitCredits: 20n, credits: 20n }],
    });
  });

  test('of a usage without a price charges nothing', () => {
    ledger(plan(), [
      ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'],
      ['1s', charge(pages(1_001n)), 'QUANTITY_OUT_OF_RANGE', '100'],
      ['2s', charge({ usages: [] }), 'CHARGE 0', '100'],
    ]);
  });
});
