import { expect, test } from 'vitest';
import { newId } from '../src/new-id.ts';

const NOW = Date.UTC(2026, 10, 22);

const ids = Array.from({ length: 2_500 }, newId(NOW));

test('ids of one moment are unique', () => {
  expect(new Set(ids).size).toBe(ids.length);
});

test('ids begin with their moment, as UUIDs of version 7 do', () => {
  const moment = NOW.toString(16).padStart(12, '0');
  for (const id of ids) {
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(id.replaceAll('-', '').slice(0, 12)).toBe(moment);
  }
});

test('ids of a later moment sort after those of an earlier one', () => {
  const later = newId(NOW + 1)();
  for (const id of ids) expect(id < later).toBe(true);
});
