/** Usage reports of several cells sum to the report of one cell that has all of their rows. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeUsage } from '../../src/queries/merge-usage.ts';
import type { UsageQuery, UsageRow } from '../../src/queries/usage-report.ts';

const LIMIT = 4;
const ASKED: UsageQuery = {
  ...{
    of: null,
    scope: null,
    from: 0,
    to: 1,
    granularity: 'hour',
    turns: null,
    label: '',
    after: null,
  },
  groupBy: new Set(['operation', 'rateCardVersion']),
  limit: LIMIT,
};

/** Beyond the Basic Multilingual Plane the order of UTF-16 is not that of bytes. */
const OPERATIONS = ['', 'B', 'a', '\uff5e', '\u{1f600}'];

/** In the order of `ASKED`, which sorts numbers by their values: 9 before 10. */
const KEYS = ['9', '10'].flatMap((period) =>
  OPERATIONS.flatMap((operation) => ['2', '11'].map((card) => [period, operation, 'plan', card])),
);

const ledger = fc.array(fc.record({ at: fc.nat(KEYS.length - 1), credits: fc.bigInt(1n, 9n) }), {
  maxLength: 12,
});

type Used = { readonly at: number; readonly credits: bigint };

function reportOf(used: readonly Used[]) {
  const sums = Map.groupBy(used, ({ at }) => at);
  const rows = [...sums]
    .sort(([a], [b]) => a - b)
    .slice(0, LIMIT + 1)
    .map(([at, all]) => {
      const credits = all.reduce((sum, one) => sum + one.credits, 0n);
      const count = BigInt(all.length);
      const quantities = new Map([['pages', credits]]);
      return { key: KEYS[at], count, credits, refunded: 0n, quantities } as unknown as UsageRow;
    });
  return { upToSeq: null, before: 5, rows, hasOtherLabels: false };
}

test('the first rows of all cells are whole, and in order', () => {
  fc.assert(
    fc.property(fc.array(ledger, { minLength: 2, maxLength: 4 }), (ledgers) => {
      const merged = mergeUsage(ASKED, ledgers.map(reportOf));
      expect(merged).toEqual(reportOf(ledgers.flat()));
    }),
  );
});

test('it is exact up to where every cell is, and has other labels where any has', () => {
  const empty = reportOf([]);
  const merged = mergeUsage(ASKED, [
    { ...empty, before: 9 },
    { ...empty, before: 7, hasOtherLabels: true },
  ]);
  expect(merged).toEqual({ ...empty, before: 7, hasOtherLabels: true });
});
