/** The slot of an account: what docs/cells.md promises to other languages. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SLOTS, slotOf } from '../../src/cells/slot.ts';

const page = readFileSync(new URL('../../docs/cells.md', import.meta.url), 'utf8');
const VECTORS = [...page.matchAll(/^\| `(\S+)` \| (\d+) \|$/gm)].map(
  ([, id = '', slot]) => [id, Number(slot)] as const,
);

test('the page has vectors', () => {
  expect(VECTORS.length).toBeGreaterThan(5);
});

test.each(VECTORS)('account %s is of slot %d', (id, slot) => {
  expect(slotOf(id)).toBe(slot);
});

test('ids that differ in one character are spread over all slots', () => {
  const slots = Array.from({ length: 40_960 }, (_, index) => slotOf(`account-${index}`));
  const counts = new Map<number, number>();
  for (const slot of slots) counts.set(slot, (counts.get(slot) ?? 0) + 1);
  expect(counts.size).toBeGreaterThan(SLOTS * 0.99);
  expect(Math.max(...counts.values())).toBeLessThan(40);
});
