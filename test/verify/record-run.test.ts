/** The result of an audit is recorded for the metrics, and where it cannot be, the audit goes on. */
import { expect, inject, test } from 'vitest';
import { recordRun } from '../../src/verify/record-run.ts';
import { createDatabase, createEmptyDatabase, execute, withOptions } from '../postgres.ts';
import { startProgram } from '../process/replica.ts';

const runsOf = (databaseUrl: string) =>
  execute(
    databaseUrl,
    'select accounts::int, entries::int, discrepancies from verify_runs order by finished_at',
  );

const found = { accountId: 'a', what: 'its balance' };

test('each audit of the whole ledger is a row', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  expect(await recordRun(url, { ok: true, accounts: 3, entries: 7 })).toBeNull();
  expect(await recordRun(url, { ok: false, discrepancies: [found, found] })).toBeNull();
  expect(await runsOf(url)).toEqual([
    { accounts: 3, entries: 7, discrepancies: 0 },
    { accounts: 0, entries: 0, discrepancies: 2 },
  ]);
});

test('the role of the service may record one, and change none', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  const asService = withOptions(url, '-c role=scrip_runtime');
  expect(await recordRun(asService, { ok: true, accounts: 1, entries: 1 })).toBeNull();
  await expect(execute(asService, 'update verify_runs set discrepancies = 1')).rejects.toThrow(
    /permission denied/,
  );
});

test('a database that only reads, or is older than the table, is no error of the audit', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  const readOnly = withOptions(url, '-c default_transaction_read_only=on');
  const ok = { ok: true, accounts: 1, entries: 1 } as const;
  expect(await recordRun(readOnly, ok)).toMatch(/read-only transaction/);
  const empty = await createEmptyDatabase(inject('postgresUrl'));
  expect(await recordRun(empty, ok)).toMatch(/verify_runs/);
});

test('the command records an audit of everything, and none of one account', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  const verify = (...args: string[]) =>
    startProgram(['src/verify/main.ts', ...args], { DATABASE_URL: url }).ended;
  expect(await verify('--account', 'nobody')).toMatchObject({ code: 1, stderr: '' });
  expect(await runsOf(url)).toEqual([]);
  expect(await verify()).toMatchObject({ code: 0, stderr: '' });
  expect(await runsOf(url)).toEqual([{ accounts: 0, entries: 0, discrepancies: 0 }]);
  await execute(url, 'drop table verify_runs');
  const { code, stdout, stderr } = await verify();
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^verify: not recorded for the metrics: .*verify_runs/),
  });
  expect(stdout).toMatch(/^verify: ok/);
});
