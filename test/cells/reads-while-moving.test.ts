/** Reads of two cells while accounts change their cell: they can miss those that pass by them. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ExportStatementsRequest_Format as Format } from '../../src/gen/billing/v1/statement_service.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import { publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

let two: TwoCells;
let scrip: TestService;
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two);
  scrip = await startTestService({ installation: two.installation });
});
afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

async function exportAll(): Promise<string> {
  const of = { $case: 'planId' as const, value: 'verts' };
  const pieces: Uint8Array[] = [];
  const asked = { of, fromMonth: '2026-01', toMonth: '2026-02', format: Format.CSV };
  for await (const { content } of scrip.statements.exportStatements(asked)) pieces.push(content);
  return Buffer.concat(pieces).toString();
}

const sumImports = () =>
  scrip.accounts.sumImports({ accountIds: [two.idIn('one'), two.idIn('two')] });

test.each([
  ['ExportStatements', 'statements', exportAll],
  ['SumImports', 'purchases', sumImports],
])('%s fails, and can be made again', async (_, table, read) => {
  const { url } = two.cells[1];
  const other = new pg.Client(url);
  await other.connect();
  try {
    await other.query(`begin; lock table ${table} in access exclusive mode`);
    const failed = errorOf(read());
    await vi.waitFor(async () => {
      const waiting = await execute(url, 'select from pg_locks where not granted');
      expect(waiting).not.toEqual([]);
    });
    for (const cell of two.cells)
      await execute(cell.url, 'update cells set map_version = map_version + 1');
    // Whoever is not found may have left: the map is read.
    await errorOf(scrip.billing.getBalance({ accountId: two.idIn('two') }));
    await other.query('rollback');
    expect(await failed).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  } finally {
    await other.end();
  }
  await read();
});

test('an export and a replay name a cell that is down', async () => {
  await two.network.close();
  try {
    expect(await errorOf(exportAll())).toMatchObject({ metadata: { cell: 'two' } });
    expect(await errorOf(scrip.events.replayDeadDeliveries({}))).toMatchObject({
      reason: 'DATABASE_UNAVAILABLE',
      metadata: { cell: 'two' },
    });
  } finally {
    await two.network.open();
  }
});
