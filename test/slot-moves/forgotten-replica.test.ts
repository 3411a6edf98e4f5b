/** A replica that was not started again with CELLS_FILE, and takes the database of a cell for the whole ledger. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { healthOf } from '../health.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

const SLOTS = Array.from({ length: 100 }, (_, slot) => slot);

let two: TwoLedgers;
let forgotten: TestService;
const [moved, staying] = [idInSlots(0, 99), idInSlots(100, 4_095)];
beforeAll(async () => {
  two = await startTwoLedgers();
  forgotten = await startTestService({ databaseUrl: two.cells[0].url, publishesNothing: true });
  for (const accountId of [moved, staying])
    await forgotten.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
});
afterAll(async () => {
  await forgotten?.stop();
  await two?.stop();
});

const move = async (from: string, to: string) => {
  await moveSlots({ cells: two.cells, from, to, slots: SLOTS, map: await two.map() });
  await forgotten.service.probeDatabase();
};

const isServed = async () => {
  for (const accountId of [moved, staying]) await forgotten.billing.getBalance({ accountId });
  const { accounts } = await forgotten.accounts.listAccounts({});
  expect(accounts).toHaveLength(2);
  expect(await healthOf(forgotten)).toBe('SERVING');
};

test('it serves the ledger as long as the other cell has none of it', async () => {
  await forgotten.service.probeDatabase();
  await isServed();
});

test('it answers nothing once accounts have left, and serves again when they are back', async () => {
  await move('old', 'new');
  const refused = { reason: 'DATABASE_UNAVAILABLE' };
  for (const accountId of [moved, staying])
    expect(await errorOf(forgotten.billing.getBalance({ accountId }))).toMatchObject(refused);
  expect(await errorOf(forgotten.accounts.listAccounts({}))).toMatchObject(refused);
  expect(await healthOf(forgotten)).toBe('NOT_SERVING');
  await move('new', 'old');
  await isServed();
});
