/** `scrip cells move`: a whole cell moves to another server under load, and is killed on its way. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slotsOf } from '../../src/cells/slot-ranges.ts';
import { verify } from '../../src/verify/verify.ts';
import { accountsIn } from '../cells/installation.ts';
import { capture } from '../cli/in-process.ts';
import { execute } from '../postgres.ts';
import {
  end,
  type Program,
  type Replica,
  startProgram,
  startPublished,
} from '../process/replica.ts';
import { Worker } from './load.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers, triggersOfMoves } from './two-ledgers.ts';

/** Programs start slowly where both cores are busy. */
const SOON_MS = 300_000;
const LIMIT_MS = 900_000;

const MOVE = ['cells', 'move', 'old', '--to', 'new', '--at-once', '2048'];
/** The slots of each part. */
const PARTS = [
  [0, 2_047],
  [2_048, 4_095],
] as const;

let two: TwoLedgers;
let replicas: readonly Replica[];
let workers: readonly Worker[];
beforeAll(async () => {
  two = await startTwoLedgers();
  const env = { CELLS_FILE: two.file, SWEEP_INTERVAL_MS: '500', USAGE_INTERVAL_MS: '500' };
  replicas = await Promise.all([startPublished(env), startPublished(env)]);
  workers = PARTS.flatMap(([first, last]) =>
    [1, 2, 3].map(() => new Worker(idInSlots(first, last), replicas)),
  );
});
afterAll(async () => {
  await Promise.all((replicas ?? []).map(end));
  await two?.stop();
});

const start = (): Program => startProgram(['src/cli/main.ts', ...MOVE], { CELLS_FILE: two.file });

/** Resolves once the command has written a line; rejects where it ends without it. */
async function written(command: Program, line: RegExp): Promise<void> {
  await expect
    .poll(() => line.test(command.output.stdout) || command.process.exitCode !== null, {
      timeout: SOON_MS,
      interval: 20,
    })
    .toBe(true);
  expect(command.output.stdout).toMatch(line);
}

/** Resolves once the database of the old cell has a move in one of these phases. */
const inPhase = (...phases: readonly string[]): Promise<void> =>
  expect
    .poll(
      async () => {
        const [row] = await execute(two.cells[0].url, 'select phase from slot_moves');
        return phases.includes(String(row?.['phase']));
      },
      { timeout: SOON_MS, interval: 5 },
    )
    .toBe(true);

async function kill(command: Program) {
  command.process.kill('SIGKILL');
  expect(await command.ended).toMatchObject({ signal: 'SIGKILL', stderr: '' });
}

test(
  'no call fails for good while the command is killed again and again; at last the old cell is empty',
  async () => {
    await Promise.all(workers.map((worker) => worker.open()));
    const running = Promise.all(workers.map((worker) => worker.run()));

    const copying = start();
    await written(copying, /^moving slots 0-4095 from old to new$/m);
    await inPhase('COPYING');
    await kill(copying);

    const between = start();
    await written(
      between,
      /^slots 0-2047: stopped for \d+ ms \(\d+ accounts? copied again, 2 replicas\)/m,
    );
    await kill(between);

    const stopping = start();
    await written(stopping, /^moving slots 2048-4095 from old to new$/m);
    await inPhase('STOPPING', 'STOPPED', 'SWITCHED');
    await kill(stopping);

    const last = start();
    const { code, stdout, stderr } = await Promise.race([
      last.ended,
      running.then(() => Promise.reject(new Error('the load has ended'))),
    ]);
    process.stderr.write(stdout);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^cell old has no slots any more: \d+ accounts? moved to new; none was stopped for longer than \d+ ms$/m,
    );

    // Both replicas serve the accounts where they are now.
    const charged = workers.map(({ charges }) => charges.length);
    await expect
      .poll(() => workers.every(({ charges }, i) => charges.length > (charged[i] ?? 0)), {
        timeout: SOON_MS,
      })
      .toBe(true);
    for (const worker of workers) worker.stop();
    await running;

    const ids = workers.map(({ accountId }) => accountId).toSorted();
    expect(await accountsIn(two.cells[1])).toEqual(ids);
    expect(await accountsIn(two.cells[0])).toEqual([]);
    expect(slotsOf(await two.map(), 'old')).toEqual([]);
    for (const worker of workers) {
      await worker.assertBalance();
      await worker.assertRepeated();
    }
    for (const cell of two.cells) {
      expect(await verify(cell.url, { all: true })).toMatchObject({ ok: true });
      expect(await triggersOfMoves(cell)).toEqual([]);
    }
  },
  LIMIT_MS,
);

async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(['cells', ...args], { CELLS_FILE: two.file });
  return { exitCode, lines: lines.map(({ text }) => text) };
}

test('run again it has nothing to do', async () => {
  expect(await run('move', 'old', '--to', 'new')).toEqual({
    exitCode: 0,
    lines: ['cell old has no slots'],
  });
  expect(await run('check')).toEqual({ exitCode: 0, lines: ['ok (2 cells)'] });
});

test('an account with archived entries is noticed before any slot moves', async () => {
  const [, { url }] = two.cells;
  const { accountId } = workers.at(-1) as Worker;
  await execute(
    url,
    `insert into archived_accounts (account_id, seq, requests_seq) values ('${accountId}', 1, 1)`,
  );
  const before = await two.map();
  expect(await run('move', 'new', '--to', 'old')).toEqual({
    exitCode: 2,
    lines: [
      'moving slots 0-4095 from new to old',
      `scrip: account ${accountId} has archived entries: accounts are moved before they are archived`,
    ],
  });
  expect(await two.map()).toEqual(before);
  await execute(url, 'delete from archived_accounts');
});

test.each([
  ['old', 'old', 2, 'scrip: --to names cell old itself'],
  ['old', 'other', 1, 'scrip: there is no cell other: there are old, new'],
  ['other', 'new', 2, 'scrip: there is no cell other: there are old, new'],
])('refused: cell %s to %s', async (cell, to, code, message) => {
  const { exitCode, lines } = await run('move', cell, '--to', to);
  expect({ exitCode, line: lines[0] }).toEqual({ exitCode: code, line: message });
});
