/** A ledger with every kind of entry is moved to another server, and back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ACCOUNT_TABLES } from '../../src/slot-moves/account-tables.ts';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { endMoves } from '../../src/slot-moves/unfinished.ts';
import { verify } from '../../src/verify/verify.ts';
import { Receiver } from '../events/receiver.ts';
import { execute } from '../postgres.ts';
import { PLANS, startSampleService, writeSampleLedger } from '../verify/sample-ledger.ts';
import { rowsOf, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

const ALL = Array.from({ length: 4_096 }, (_, slot) => slot);

let two: TwoLedgers;
let accountIds: readonly string[];
beforeAll(async () => {
  const receiver = await new Receiver().open();
  const scrip = await startSampleService({ env: receiver.env });
  const accounts = await writeSampleLedger(scrip);
  accountIds = Object.values(accounts);
  await scrip.service.countUsage();
  await scrip.stop();
  await receiver.close();
  two = await startTwoLedgers(PLANS, scrip.databaseUrl);
});
afterAll(() => two?.stop());

test('every row of every account is in the other cell, and verify finds both whole', async () => {
  const [old, other] = two.cells;
  const before = await Promise.all(accountIds.map((accountId) => rowsOf(old, accountId)));
  for (const table of ACCOUNT_TABLES)
    expect(
      before.some((rows) => (rows[table]?.length ?? 0) > 0),
      table,
    ).toBe(true);

  const moved = await moveSlots({
    ...{ cells: two.cells, from: 'old', to: 'new', slots: ALL, map: await two.map() },
  });
  await endMoves(old);

  expect(moved.accounts).toBe(accountIds.length);
  expect(await Promise.all(accountIds.map((accountId) => rowsOf(other, accountId)))).toEqual(
    before,
  );
  for (const table of ACCOUNT_TABLES)
    expect(await execute(old.url, `select from ${table}`), table).toEqual([]);
  expect(await verify(other.url)).toMatchObject({ ok: true, accounts: accountIds.length });
  expect(await verify(old.url)).toMatchObject({ ok: true, accounts: 0 });
});

test('they can be moved back: events have the positions that they had', async () => {
  const [old, other] = two.cells;
  const before = await Promise.all(accountIds.map((accountId) => rowsOf(other, accountId)));
  await moveSlots({ cells: two.cells, from: 'new', to: 'old', slots: ALL, map: await two.map() });
  await endMoves(other);
  expect(await Promise.all(accountIds.map((accountId) => rowsOf(old, accountId)))).toEqual(before);
  expect(await execute(old.url, 'select from moved_events')).toEqual([]);
  expect(
    await execute(old.url, 'select from events where position is null or position < 0'),
  ).toEqual([]);
  for (const { url } of two.cells) expect(await verify(url)).toMatchObject({ ok: true });
});
