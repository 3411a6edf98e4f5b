/** The harness works: one quick fault. `npm run faults` makes them all. */
import { expect, test } from 'vitest';
import { held, runFault } from './fault.ts';
import { backendsTerminated } from './faults/kills.ts';
import { table } from './table.ts';

test('terminated backends lose and double nothing', async () => {
  const result = await runFault(backendsTerminated, { seed: 1, seconds: 1 });
  expect(result).toMatchObject({ lost: 0, doubled: 0, verify: 'ok', problems: [] });
  if (!('acknowledged' in result)) return;
  expect(result.acknowledged).toBeGreaterThan(0);
  expect(held(result)).toBe(true);
  expect(table([result])).toContain('| backends-terminated |');
});
