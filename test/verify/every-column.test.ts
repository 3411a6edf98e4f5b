/**
 * Every column of every table, altered by somebody with full access to the database: verify names the altered
 * row, or src/verify/decides-nothing.ts says why the column decides nothing.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { DECIDES_NOTHING } from '../../src/verify/decides-nothing.ts';
import { columnsOf } from './alterations.ts';
import { AlteredLedger, type Outcome } from './altered-ledger.ts';

const ledger = await AlteredLedger.write();
const columns = await columnsOf(ledger.owner);
const tables = [...new Set(columns.map(({ table }) => table))];
afterAll(() => ledger.end());

const isListed = (name: string): boolean =>
  name in DECIDES_NOTHING || `${name.split('.')[0]}.*` in DECIDES_NOTHING;

/** What went unnoticed or was not named. */
const failuresOf = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.flatMap(({ result, does }) => (result === 'noticed' ? [] : [`${result}: ${does}`]));

/** Listed columns of which something went unnoticed. */
const harmless = new Set<string>();

test('before, there is no discrepancy', async () => {
  expect(await ledger.verify(null)).toEqual([]);
});

test.each(columns.map((column) => [`${column.table}.${column.column}`, column] as const))(
  'verify names the row whose %s was altered',
  async (name, column) => {
    const failures = failuresOf(await ledger.alterColumn(column));
    expect(failures.filter((failure) => failure.startsWith('verify failed'))).toEqual([]);
    if (!isListed(name)) return expect(failures).toEqual([]);
    if (failures.length > 0) harmless.add(name in DECIDES_NOTHING ? name : `${column.table}.*`);
  },
);

describe.each(tables)('%s: verify names', (table) => {
  test.each([
    ['a row that is missing', (name: string) => ledger.deleteRows(name)],
    ['a row that was forged as a copy of another', (name: string) => ledger.forgeRows(name)],
    ['two rows that were swapped', (name: string) => ledger.swapRows(name)],
  ])('%s', async (_, attempt) => {
    const failures = failuresOf(await attempt(table));
    if (!(`${table}.*` in DECIDES_NOTHING)) return expect(failures).toEqual([]);
    if (failures.length > 0) harmless.add(`${table}.*`);
  });
});

test('of every column that is listed as deciding nothing, something goes unnoticed', () => {
  expect([...harmless].sort()).toEqual(Object.keys(DECIDES_NOTHING).sort());
});

test('the README lists the same columns, with the same reasons', () => {
  const readme = readFileSync(new URL('../../src/verify/README.md', import.meta.url), 'utf8');
  const rows = readme.matchAll(/^\| `([a-z_]+\.[a-z_*]+)` \| (.+) \|$/gm);
  expect(Object.fromEntries([...rows].map(([, name, reason]) => [name, reason]))).toEqual(
    DECIDES_NOTHING,
  );
});
