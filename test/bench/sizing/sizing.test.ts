/** The sizes of docs/sizing.md, and the model behind them. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ASSUMED, capacity, type JobCost, sizeFor } from './model.ts';
import { capacityTable, costTable, readCosts, sizeTable, withTables } from './tables.ts';

const page = readFileSync(new URL('../../../docs/sizing.md', import.meta.url), 'utf8');

const COST: JobCost = {
  serviceMicros: 400,
  postgresMicros: 200,
  walBytes: 1_000,
  storedBytes: 1_000,
};

test('the tables of the page are those that the model makes of the costs on it', () => {
  const cost = readCosts(page);
  for (const table of [costTable(cost), capacityTable(cost), sizeTable(cost)])
    expect(page).toContain(table);
});

test('the tables are made anew in their place, and nothing else changes', () => {
  const changed = withTables(page, COST, 'measured elsewhere:');
  expect(readCosts(changed)).toEqual(COST);
  expect(changed).toContain('measured elsewhere:');
  const outside = (text: string) => text.replace(/<!-- npm run .*<!-- until here -->/s, '');
  expect(outside(changed)).toBe(outside(page));
  expect(withTables(changed, COST, 'measured elsewhere:')).toBe(changed);
});

test.each([
  ['PostgreSQL', COST, 'CPU'],
  ['its disk', { ...COST, walBytes: 50_000 }, 'WAL'],
] as const)('a cell is limited by %s', (_, cost, limit) => {
  expect(capacity(cost).limit).toBe(limit);
});

test('a replica more than the load needs is there, and two at least', () => {
  const { perReplica } = capacity(COST);
  expect(sizeFor(1, COST)).toMatchObject({ replicas: 2, cells: 1 });
  expect(sizeFor(perReplica * 3, COST).replicas).toBe(3 + ASSUMED.spareReplicas);
});

test('bytes of a year are those of its jobs', () => {
  expect(sizeFor(1_000, COST)).toMatchObject({
    gigabytesPerDay: 86.4,
    terabytesPerYear: expect.closeTo(31.536, 6),
    walMegabytesPerSecond: 1,
  });
});

test('no server is used beyond what the model allows, whatever the rate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), (rate) => {
      const { perReplica, perCell } = capacity(COST);
      const { replicas, cells } = sizeFor(rate, COST);
      expect(rate).toBeLessThanOrEqual((replicas - ASSUMED.spareReplicas) * perReplica + 1e-6);
      expect(rate).toBeLessThanOrEqual(cells * perCell);
      expect(rate).toBeGreaterThan((cells - 1) * perCell);
    }),
  );
});
