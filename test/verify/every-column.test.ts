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
// Those of the archive: test/archive/every-column.test.ts.
const columns = (await columnsOf(ledger.owner)).filter(({ table }) => !table.startsWith('archive'));
const tables = [...new Set(columns.map(({ table }) => table))];
afterAll(() => ledger.end());

const isListed = (name: string): boolean =>
  name in DECIDES_NOTHING || `${name.split('.')[0]}.*` in DECIDES_NOTHING;

/** What went unnoticed or was not named. */
const failuresOf = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.flatMap(({ result, does }) => (result === 'noticed' ? [] : [`${result}: ${does}`]));

test('before, there is no discrepancy', async () => {
  expect(await ledger.verify(null)).toEqual([]);
});

test.each(columns.map((column) => [`${column.table}.${column.column}`, column] as const))(
  'verify names the row whose %s was altered',
  async (name, column) => {
    const failures = failuresOf(await ledger.alterColumn(column));
    expect(failures.filter((failure) => failure.startsWith('verify failed'))).toEqual([]);
    if (!isListed(name)) expect(failures).toEqual([]);
  },
);

const decidingTables = tables.filter((table) => !(`${table}.*` in DECIDES_NOTHING));

describe.each(decidingTables)('%s: verify names', (table) => {
  test('a row that is missing', async () => {
    expect(failuresOf(await ledger.deleteRows(table))).toEqual([]);
  });

  test('a row that was forged as a copy of another', async () => {
    expect(failuresOf(await ledger.forgeRows(table))).toEqual([]);
  });

  test('the account, which there is not, of a row that was forged for nobody', async () => {
    const outcomes = await ledger.forgeRowsOfNobody(table);
    expect(outcomes.filter(({ result }) => result === 'unnoticed')).toEqual([]);
  });

  test('two rows that were swapped', async () => {
    expect(failuresOf(await ledger.swapRows(table))).toEqual([]);
  });
});

test('what is listed as deciding nothing is in the schema', async () => {
  const all = await columnsOf(ledger.owner);
  const names = all.flatMap(({ table, column }) => [`${table}.${column}`, `${table}.*`]);
  expect(names).toEqual(expect.arrayContaining(Object.keys(DECIDES_NOTHING)));
});

test('the README lists the same columns, with the same reasons', () => {
  const readme = readFileSync(new URL('../../src/verify/README.md', import.meta.url), 'utf8');
  const rows = readme.matchAll(/^\| `([a-z_]+\.(?!ts`)[a-z_*]+)` \| (.+) \|$/gm);
  expect(Object.fromEntries([...rows].map(([, name, reason]) => [name, reason]))).toEqual(
    DECIDES_NOTHING,
  );
});
