/** The audit of positions and deliveries, which span accounts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { cross, crossing } from '../events/given.ts';
import { Receiver } from '../events/receiver.ts';
import { execute } from '../postgres.ts';
import { startTestService } from '../service.ts';

let databaseUrl: string;
beforeAll(async () => {
  const receiver = await new Receiver().open();
  const scrip = await startTestService({ env: receiver.env });
  ({ databaseUrl } = scrip);
  const accountIds = [await crossing(scrip), await crossing(scrip)] as const;
  await cross(scrip, accountIds[0], 4);
  await cross(scrip, accountIds[1], 4);
  while (receiver.received.length < 10) await new Promise((resolve) => setTimeout(resolve, 20));
  await scrip.stop();
  await receiver.close();
});

const AT_FIVE = 'position = 5';
const fifth = async () =>
  (await execute(databaseUrl, `select event_id, account_id from events where ${AT_FIVE}`))[0];

/** The discrepancies after a change, which is then undone. */
async function discrepanciesAfter(change: string, undo: string) {
  await execute(databaseUrl, change);
  const result = await verify(databaseUrl, { all: true });
  await execute(databaseUrl, undo);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  return result.ok ? [] : result.discrepancies;
}

test('complete events have no discrepancy', async () => {
  expect(await verify(databaseUrl)).toMatchObject({ ok: true, accounts: 2 });
});

test('an event without its delivery is found', async () => {
  const event = await fifth();
  await execute(databaseUrl, 'create table kept as table deliveries');
  const found = await discrepanciesAfter(
    `delete from deliveries where ${AT_FIVE}`,
    `insert into deliveries select * from kept where ${AT_FIVE}`,
  );
  expect(found).toEqual([
    { accountId: event?.['account_id'], what: `event ${event?.['event_id']}: it has no delivery` },
  ]);
});

test('a gap in the positions over all accounts is found', async () => {
  const found = await discrepanciesAfter(
    'update events set position = position + 1 where position > 9',
    'update events set position = position - 1 where position > 9',
  );
  expect(found.map(({ what }) => what)).toContainEqual(
    expect.stringMatching(/^event [0-9a-f-]{36}: position 11 follows 9$/),
  );
});

test('a cursor that is not at the newest event is found', async () => {
  for (const position of [9, 11]) {
    const set = (to: number) => `update event_cursors set position = ${to} where name = 'assigned'`;
    expect((await discrepanciesAfter(set(position), set(10))).map(({ what }) => what)).toEqual([
      `the newest position is 10, the cursor says ${position}`,
    ]);
  }
});

afterAll(() => execute(databaseUrl, 'drop table kept'));
