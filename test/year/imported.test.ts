/** A small year that goes on from an import: every response, statement and breakage is as the usage log implies. */
import { expect, inject, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { createDatabase } from '../postgres.ts';
import { check } from './check.ts';
import { STARTS_AT, simulateYear } from './simulate.ts';
import { startSimulatedService } from './simulated-service.ts';

test('two months go on from an import, and a pack of the other system expires', async () => {
  const database = await createDatabase(inject('postgresUrl'));
  const simulated = await startSimulatedService(STARTS_AT, database);
  const printed: string[] = [];
  const options = { accounts: 10, seed: 3, isImported: true, months: 2 };
  const year = await simulateYear(simulated, options, (text) => printed.push(text));
  expect(printed[0]).toBe('imported: 10 accounts; the sums are equal');
  expect(year.log.filter(({ request }) => request.kind === 'import')).toHaveLength(10);
  expect(year.log.length).toBeGreaterThan(100);
  const { accounts, statements, history } = await check(simulated.scrip, year);
  expect(accounts).toBe(10);
  // January of the postpaid accounts; February is not over.
  expect(statements.statements).toBe(statements.postpaidAccounts);
  expect(statements.postpaidAccounts).toBe(3);
  expect(history.allowances).toBe(2 * 3);
  expect(await verify(database)).toMatchObject({ ok: true, accounts: 10 });
  const [imported] = year.log;
  const altered = year.log.map((entry) =>
    entry === imported && entry.request.kind === 'import'
      ? { ...entry, request: { ...entry.request, purchases: entry.request.purchases.slice(0, -1) } }
      : entry,
  );
  await expect(check(simulated.scrip, { ...year, log: altered })).rejects.toThrow(/must be|is \d+/);
  await simulated.close();
}, 600_000);
