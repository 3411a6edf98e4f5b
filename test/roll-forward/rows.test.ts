/** Rows of roll-forwards: whatever the sums are, each adds up, and a month begins with what the one before ends with. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Figure, toRollForward } from '../../src/queries/roll-forward.ts';
import { LOSSES, MOVEMENTS } from '../../src/store/tables/roll-forward.ts';

const figure = fc.record({
  credits: fc.bigInt({ min: 0n, max: 10n ** 20n }),
  amount: fc.bigInt({ min: 0n, max: 10n ** 12n }),
});

const sums = fc.array(
  fc.record({
    planId: fc.constantFrom('a', 'b'),
    category: fc.constantFrom('PAID', 'ALLOWANCE'),
    currency: fc.constantFrom('', 'USD', 'JPY'),
    movement: fc.constantFrom(...MOVEMENTS),
    before: figure,
    within: figure,
  }),
  { maxLength: 30 },
);

const add = (one: Figure, other: Figure, sign: bigint): Figure => ({
  credits: one.credits + sign * other.credits,
  amount: one.amount + sign * other.amount,
});

const NOTHING: Figure = { credits: 0n, amount: 0n };

test('opening and movements are closing', () => {
  fc.assert(
    fc.property(sums, (all) => {
      for (const { opening, movements, closing } of toRollForward(all)) {
        let computed = opening;
        for (const [movement, moved] of movements)
          computed = add(computed, moved, LOSSES.has(movement) ? -1n : 1n);
        expect(computed).toEqual(closing);
      }
    }),
  );
});

test('closing is the opening of the next month, row by row', () => {
  fc.assert(
    fc.property(sums, (all) => {
      const next = all.map((one) => ({
        ...one,
        before: add(one.before, one.within, 1n),
        within: NOTHING,
      }));
      const keyOf = ({ planId, category, currency }: (typeof all)[number]) =>
        `${planId} ${category} ${currency}`;
      const opening = new Map(
        toRollForward(next).map((row) => [
          `${row.planId} ${row.category} ${row.currency}`,
          row.opening,
        ]),
      );
      for (const row of toRollForward(all)) {
        const key = `${row.planId} ${row.category} ${row.currency}`;
        expect(opening.get(key) ?? NOTHING).toEqual(row.closing);
      }
      expect(new Set(all.map(keyOf)).size).toBeGreaterThanOrEqual(toRollForward(all).length);
    }),
  );
});

test('sums of several cells are one row', () => {
  fc.assert(
    fc.property(sums, sums, (one, other) => {
      const total = (rows: ReturnType<typeof toRollForward>) =>
        rows.reduce((sum, { closing }) => add(sum, closing, 1n), NOTHING);
      const apart = add(total(toRollForward(one)), total(toRollForward(other)), 1n);
      expect(total(toRollForward([...one, ...other]))).toEqual(apart);
    }),
  );
});
