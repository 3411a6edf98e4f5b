/** The map of slots to cells: it is whole, and it is stored as ranges. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  cellsOfMap,
  evenSlots,
  rangesOf,
  readSlots,
  storedSlots,
  wholeSlots,
} from '../../src/cells/cell-map.ts';
import { SLOTS } from '../../src/cells/slot.ts';
import { formatRanges } from '../../src/cells/slot-ranges.ts';

const maps = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: SLOTS, maxLength: SLOTS })
  .map((cells) => ({ version: 1, cells }));

test('what is stored is read as it was', () => {
  fc.assert(
    fc.property(maps, (map) => {
      expect(readSlots(storedSlots(map))).toEqual(map.cells);
    }),
    { numRuns: 20 },
  );
});

test('the ranges of a cell have its slots, and no two of them touch', () => {
  fc.assert(
    fc.property(maps, (map) => {
      const ranges = rangesOf(map, 'a');
      const slots = ranges.flatMap(([first, last]) =>
        Array.from({ length: last - first + 1 }, (_, index) => first + index),
      );
      expect(slots).toEqual(map.cells.flatMap((cell, slot) => (cell === 'a' ? [slot] : [])));
      for (const [index, [first]] of ranges.entries())
        if (index > 0) expect(first).toBeGreaterThan((ranges[index - 1]?.[1] ?? 0) + 1);
    }),
    { numRuns: 20 },
  );
});

test.each([1, 2, 3, 7, 64])('%d cells have as many slots as each other, or one less', (count) => {
  const names = Array.from({ length: count }, (_, index) => `cell-${index}`);
  const cells = evenSlots(names);
  expect(cells).toHaveLength(SLOTS);
  expect(cellsOfMap({ version: 1, cells })).toEqual(names);
  const counts = names.map((name) => cells.filter((cell) => cell === name).length);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

test.each([
  [{ a: [[0, 4094]] }, 'slot 4095 belongs to no cell'],
  [{ a: [[0, 2047]], b: [[2047, 4095]] }, 'slot 2047 belongs to cells a and b'],
  [{ a: [[0, 4096]] }, 'the slots 0 to 4096 of cell a are none of 0 to 4095'],
  [{ a: [[9, 3]] }, 'the slots 9 to 3 of cell a are none of 0 to 4095'],
  [{ a: [[0.5, 4095]] }, 'the slots 0.5 to 4095 of cell a are none of 0 to 4095'],
  [{}, 'slot 0 belongs to no cell'],
  [null, 'its slots are not the first and last of ranges by cell'],
  [{ a: 5 }, 'its slots are not the first and last of ranges by cell'],
  [{ a: [[0]] }, 'its slots are not the first and last of ranges by cell'],
] as const)('%j: %s', (stored, problem) => {
  expect(readSlots(stored)).toBe(problem);
});

test('ranges read well', () => {
  const cells = wholeSlots('a').with(3_000, 'b').with(4_094, 'b').with(4_095, 'b');
  expect(formatRanges(rangesOf({ cells }, 'b'))).toBe('3000, 4094-4095');
  expect(formatRanges(rangesOf({ cells }, 'c'))).toBe('');
});
