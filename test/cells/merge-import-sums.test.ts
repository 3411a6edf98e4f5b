/** Sums of imports in several cells. */
import { expect, test } from 'vitest';
import type { ImportSums } from '../../src/queries/import-sums.ts';
import { mergeImportSums } from '../../src/queries/merge-import-sums.ts';

const of = (planId: string, each: bigint, paid: ImportSums['paid'] = []): ImportSums => ({
  ...{ planId, accounts: each, grants: each, purchases: each, granted: each, spent: each },
  ...{ spentThisMonth: each, expired: each, overage: each, paid },
});

test('are added by plan, and money by currency', () => {
  const one = of('b', 1n, [{ currency: 'USD', amount: '1.10' }]);
  const other = of('b', 2n, [
    { currency: 'JPY', amount: '500' },
    { currency: 'USD', amount: '0.905' },
  ]);
  expect(mergeImportSums([one, of('a', 5n), other])).toEqual([
    of('a', 5n),
    of('b', 3n, [
      { currency: 'JPY', amount: '500' },
      { currency: 'USD', amount: '2.005' },
    ]),
  ]);
});
