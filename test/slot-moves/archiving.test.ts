/** A cell is archived, or slots leave it: never both at the same time. */

import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ARCHIVER_LOCK } from '../../src/archiver/lock.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { type MoveStep, moveSlots } from '../../src/slot-moves/move-slots.ts';
import { lockOutArchiver, openSession } from '../../src/slot-moves/session.ts';
import { parseSlots } from '../../src/slot-moves/slots.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY } from '../accounts.ts';
import { temporaryDirectory } from '../archive/archiving.ts';
import { accountsIn } from '../cells/installation.ts';
import { capture } from '../cli/in-process.ts';
import { createDatabase } from '../postgres.ts';
import { startProgram } from '../process/replica.ts';
import { requestId, startTestService } from '../service.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

const START = Date.now() - 70 * DAY;
const MONTH = new Date(START + 40 * DAY).toISOString().slice(0, 7);
const REFUSED = {
  exitCode: 2,
  lines: [
    'cell old',
    'scrip: cell old: slots of this cell are being moved: archive it once scrip cells check is ok',
  ],
};

const directory = temporaryDirectory();

let two: TwoLedgers;
/** One account in the slots of each test, with entries that could be archived. */
const accountIds = [0, 10, 20, 30, 40].map((first) => idInSlots(first, first + 9));
beforeAll(async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const scrip = await startTestService({ databaseUrl, frozenAt: START });
  for (const accountId of accountIds) {
    await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
    await scrip.accounts.grantCredits({
      ...{ accountId, requestId: requestId(), credits: 1n, reason: 'a test' },
      category: Grant_Category.PAID,
    });
  }
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  await scrip.stop();
  two = await startTwoLedgers(null, databaseUrl);
});
afterAll(() => two?.stop());

async function run(...args: readonly string[]) {
  const env = { CELLS_FILE: two.file, ARCHIVE_DIRECTORY: directory };
  const { exitCode, lines } = await capture([...args], env);
  return { exitCode, lines: lines.map(({ text }) => text) };
}

const archive = () => run('archive', '--before', MONTH, '--cell', 'old');

async function assertWhole() {
  expect(await run('cells', 'check')).toEqual({ exitCode: 0, lines: ['ok (2 cells)'] });
  for (const { name, url } of two.cells)
    expect(
      await verify(url, { all: true, archiveDirectory: `${directory}/${name}` }),
    ).toMatchObject({ ok: true });
}

test('nothing is archived while slots are moved', async () => {
  const refused: unknown[] = [];
  await moveSlots({
    ...{ cells: two.cells, from: 'old', to: 'new' },
    ...{ slots: parseSlots('0-9') as readonly number[], map: await two.map() },
    async onStep(step) {
      if (step === 'copying' || step === 'switched') refused.push(await archive());
    },
  });
  expect(refused).toEqual([REFUSED, REFUSED]);
  expect(await accountsIn(two.cells[1])).toEqual([accountIds[0]]);
  await assertWhole();
});

test.each<[MoveStep, number]>([
  ['copying', 10],
  ['stopped', 20],
  ['switched', 30],
])('nor after a move that was killed at "%s", until it has ended', async (step, first) => {
  const slots = `${first}-${first + 9}`;
  const { ended } = startProgram(['test/slot-moves/killed-at.ts', step, slots], {
    CELLS_FILE: two.file,
  });
  expect(await ended).toMatchObject({ signal: 'SIGKILL', stderr: '' });
  expect(await archive()).toEqual(REFUSED);
  expect(await run('cells', 'split', '--take-back')).toMatchObject({ exitCode: 0 });
  await assertWhole();
});

test('no slot moves while the archiver works', async () => {
  const client = new pg.Client(two.cells[0].url);
  await client.connect();
  await client.query(`select pg_advisory_lock(${ARCHIVER_LOCK})`);
  try {
    expect(await run('cells', 'split', '--from', 'old', '--to', 'new', '--slots', '40-49')).toEqual(
      {
        exitCode: 2,
        lines: [
          'moving slots 40-49 from old to new',
          'scrip: the database of cell old is being archived: move slots when that has ended',
        ],
      },
    );
    // The command's own lock is gone where the connection that holds it was lost between two parts.
    const slots = parseSlots('40-49') as readonly number[];
    await expect(
      moveSlots({ cells: two.cells, from: 'old', to: 'new', slots, map: await two.map() }),
    ).rejects.toThrow('the database of cell old is being archived');
  } finally {
    await client.end();
  }
});

test('a second command that moves slots is not taken for the archiver', async () => {
  const client = await openSession(two.cells[0]);
  try {
    await lockOutArchiver(client, 'old');
    expect(
      await run('cells', 'split', '--from', 'old', '--to', 'new', '--slots', '50-59'),
    ).toMatchObject({ exitCode: 0 });
    expect(await archive()).toMatchObject({ exitCode: 2 });
  } finally {
    await client.end();
  }
});

test('what has not moved is archived', async () => {
  expect(await archive()).toMatchObject({ exitCode: 0 });
  await assertWhole();
});
