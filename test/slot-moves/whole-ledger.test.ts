/** A ledger with every kind of entry is moved to another server, and back. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slotOf } from '../../src/cells/slot.ts';
import { slotsOf } from '../../src/cells/slot-ranges.ts';
import { ACCOUNT_TABLES } from '../../src/slot-moves/account-tables.ts';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { verify } from '../../src/verify/verify.ts';
import { capture } from '../cli/in-process.ts';
import { Receiver } from '../events/receiver.ts';
import { execute } from '../postgres.ts';
import { PLANS, startSampleService, writeSampleLedger } from '../verify/sample-ledger.ts';
import { rowsOf, startTwoLedgers, type TwoLedgers, triggersOfMoves } from './two-ledgers.ts';

const ALL = Array.from({ length: 4_096 }, (_, slot) => slot);

let two: TwoLedgers;
let accountIds: readonly string[];
let directory: string;
/** Of the time before the move. */
let anchor: string;
beforeAll(async () => {
  const receiver = await new Receiver().open();
  const scrip = await startSampleService({ env: receiver.env });
  const accounts = await writeSampleLedger(scrip);
  accountIds = Object.values(accounts);
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  await scrip.stop();
  await receiver.close();
  two = await startTwoLedgers(PLANS, scrip.databaseUrl);
  directory = await mkdtemp(join(tmpdir(), 'scrip-moved-'));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await writeFile(join(directory, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(directory, 'key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  await run('anchor', 'write', '--directory', directory, '--key', join(directory, 'key.pem'));
  const [file] = await readdir(join(directory, 'old'));
  anchor = join(directory, 'old', file ?? '');
});
afterAll(async () => {
  await two?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(args, { CELLS_FILE: two.file });
  expect(lines.map(({ text }) => text).join('\n')).not.toContain('scrip:');
  return exitCode;
}

const verifyAnchor = (cell: string) =>
  run(
    ...['verify', '--cell', cell, '--anchor', anchor, '--anchor-key', join(directory, 'key.pub')],
  );

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

  expect(moved.accounts).toBe(accountIds.length);
  expect(await Promise.all(accountIds.map((accountId) => rowsOf(other, accountId)))).toEqual(
    before,
  );
  for (const table of ACCOUNT_TABLES)
    expect(await execute(old.url, `select from ${table}`), table).toEqual([]);
  expect(await verify(other.url)).toMatchObject({ ok: true, accounts: accountIds.length });
  expect(await verify(old.url)).toMatchObject({ ok: true, accounts: 0 });
});

test('an anchor of before the move is compared in both cells', async () => {
  expect(await verifyAnchor('old')).toBe(0);
  expect(await verifyAnchor('new')).toBe(0);
  const [, { url }] = two.cells;
  const [entry] = await execute(url, 'select account_id, seq from entries where seq = 1 limit 1');
  const row = `account_id = '${entry?.['account_id']}' and seq = 1`;
  await execute(url, `create table original as select * from entries where ${row}`);
  await execute(url, `update entries set hash = sha256(hash) where ${row}`);
  expect(await verifyAnchor('new')).toBe(1);
  await execute(url, `delete from entries where ${row}`);
  await execute(url, 'insert into entries select * from original');
  await execute(url, 'drop table original');
});

test('they can be moved back: events have the positions that they had', async () => {
  const [old, other] = two.cells;
  const before = await Promise.all(accountIds.map((accountId) => rowsOf(other, accountId)));
  await moveSlots({ cells: two.cells, from: 'new', to: 'old', slots: ALL, map: await two.map() });
  expect(await Promise.all(accountIds.map((accountId) => rowsOf(old, accountId)))).toEqual(before);
  expect(await execute(old.url, 'select from moved_events')).toEqual([]);
  expect(
    await execute(old.url, 'select from events where position is null or position < 0'),
  ).toEqual([]);
  for (const { url } of two.cells) expect(await verify(url)).toMatchObject({ ok: true });
});

test('an account with archived entries is not moved, and nothing of the move is left', async () => {
  const [old] = two.cells;
  const [accountId = ''] = accountIds;
  await execute(
    old.url,
    `insert into archived_accounts (account_id, seq, requests_seq) values ('${accountId}', 1, 1)`,
  );
  const map = await two.map();
  await expect(
    moveSlots({ cells: two.cells, from: 'old', to: 'new', slots: ALL, map }),
  ).rejects.toThrow(`account ${accountId} has archived entries`);
  expect(await two.map()).toEqual(map);
  expect(await execute(old.url, 'select from slot_moves')).toEqual([]);
  expect(await triggersOfMoves(old)).toEqual([]);
});

test('of two commands that have read the same map, one moves slots and the other is refused', async () => {
  const [old, other] = two.cells;
  const map = await two.map();
  const used = new Set(accountIds.map(slotOf));
  const empty = ALL.filter((slot) => !used.has(slot));
  const moves = [empty.slice(0, 10), empty.slice(10, 20)];
  const ended = await Promise.allSettled(
    moves.map((slots) => moveSlots({ cells: two.cells, from: 'old', to: 'new', slots, map })),
  );
  const done = ended.findIndex(({ status }) => status === 'fulfilled');
  expect(ended[1 - done]).toMatchObject({
    ...{ status: 'rejected', reason: { message: expect.stringContaining('another command') } },
  });
  const after = await two.map();
  expect(after.version).toBe(map.version + 1);
  expect(slotsOf(after, 'new')).toEqual(moves[done]);
  for (const { url } of [old, other])
    expect(await execute(url, 'select from slot_moves')).toEqual([]);
});
