/** Every column of the tables of the archive, altered by somebody with full access: verify names the row, or the file. */
import { afterAll, describe, expect, test } from 'vitest';
import { DECIDES_NOTHING } from '../../src/verify/decides-nothing.ts';
import { columnsOf } from '../verify/alterations.ts';
import { AlteredLedger, type Outcome } from '../verify/altered-ledger.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const ledger = await AlteredLedger.write(async (scrip) => {
  const directory = temporaryDirectory();
  const month = new Date(scrip.now()).toISOString().slice(0, 7);
  await archiveLedger(scrip, directory, month, { partMax: 100 });
  return directory;
});
afterAll(() => ledger.end());
const columns = (await columnsOf(ledger.owner)).filter(({ table }) => table.startsWith('archive'));
const tables = [...new Set(columns.map(({ table }) => table))];

const failuresOf = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.flatMap(({ result, does }) => (result === 'noticed' ? [] : [`${result}: ${does}`]));

test('before, there is no discrepancy, and something is archived', async () => {
  expect(await ledger.verify(null)).toEqual([]);
  const { rows } = await ledger.owner.query(
    'select count(*)::int as accounts from archived_accounts where seq > 0',
  );
  expect(rows[0].accounts).toBeGreaterThan(1);
});

test.each(columns.map((column) => [`${column.table}.${column.column}`, column] as const))(
  'verify names the row whose %s was altered',
  async (name, column) => {
    const failures = failuresOf(await ledger.alterColumn(column));
    expect(failures.filter((failure) => failure.startsWith('verify failed'))).toEqual([]);
    if (!(name in DECIDES_NOTHING)) expect(failures).toEqual([]);
  },
);

describe.each(tables)('%s: verify names', (table) => {
  test('a row that is missing', async () => {
    expect(failuresOf(await ledger.deleteRows(table))).toEqual([]);
  });

  test('a row that was forged as a copy of another', async () => {
    expect(failuresOf(await ledger.forgeRows(table))).toEqual([]);
  });

  test('two rows that were swapped', async () => {
    expect(failuresOf(await ledger.swapRows(table))).toEqual([]);
  });
});
