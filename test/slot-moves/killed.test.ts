/** The command that moves slots is killed at each of its steps, and run again. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MoveStep } from '../../src/slot-moves/move-slots.ts';
import { verify } from '../../src/verify/verify.ts';
import { accountsIn } from '../cells/installation.ts';
import { capture } from '../cli/in-process.ts';
import { startProgram } from '../process/replica.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import { retried, Worker } from './load.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers, triggersOfMoves } from './two-ledgers.ts';

let two: TwoLedgers;
let scrip: TestService;
beforeAll(async () => {
  two = await startTwoLedgers();
  scrip = await startTestService({ installation: await two.installation() });
});
afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(['cells', ...args], { CELLS_FILE: two.file });
  return { exitCode, lines: lines.map(({ text }) => text) };
}

/** Two accounts in the slots, with some history. */
async function begin(first: number): Promise<readonly Worker[]> {
  const workers = [0, 1].map(() => new Worker(idInSlots(first, first + 9), [scrip]));
  for (const worker of workers) {
    await worker.open();
    await worker.run(4);
  }
  return workers;
}

async function killedAt(step: MoveStep, slots: string) {
  const { ended } = startProgram(['test/slot-moves/killed-at.ts', step, slots], {
    CELLS_FILE: two.file,
  });
  expect(await ended).toMatchObject({ signal: 'SIGKILL', stderr: '' });
}

async function assertWhole(workers: readonly Worker[], cell: 0 | 1) {
  for (const worker of workers) {
    await worker.assertBalance();
    await worker.assertRepeated();
    await worker.run(4);
  }
  const ids = workers.map(({ accountId }) => accountId);
  const { accounts } = await retried(() => scrip.accounts.listAccounts({ pageSize: 1_000 }));
  const listed = accounts.map(({ accountId }) => accountId);
  expect(listed.filter((id) => ids.includes(id))).toEqual(ids.toSorted());
  expect(await accountsIn(two.cells[cell])).toEqual(expect.arrayContaining(ids));
  const others = await accountsIn(two.cells[cell === 0 ? 1 : 0]);
  expect(others.filter((id) => ids.includes(id as string))).toEqual([]);
  for (const one of two.cells) {
    expect(await verify(one.url)).toMatchObject({ ok: true });
    expect(await triggersOfMoves(one)).toEqual([]);
  }
}

test.each<[MoveStep, number, 'taken back' | 'completed']>([
  ['copying', 0, 'taken back'],
  ['stopping', 10, 'taken back'],
  ['stopped', 20, 'taken back'],
  ['leaving', 30, 'taken back'],
  ['switched', 40, 'completed'],
  ['deleting', 50, 'completed'],
])('killed at "%s": the next run goes on', async (step, first, outcome) => {
  const workers = await begin(first);
  const slots = `${first}-${first + 9}`;
  await killedAt(step, slots);
  expect(await run('check')).toMatchObject({ exitCode: 1 });
  const { exitCode, lines } = await run('split', '--from', 'old', '--to', 'new', '--slots', slots);
  expect(lines[0]).toBe(`slots ${slots}: the move from old to new was ${outcome}`);
  expect(exitCode).toBe(0);
  await assertWhole(workers, 1);
  expect(await run('check')).toEqual({ exitCode: 0, lines: ['ok (2 cells)'] });
});

test('between the commits of the two cells both have the accounts: no list of all cells is answered', async () => {
  const workers = await begin(70);
  await killedAt('switched', '70-79');
  // The new cell serves them.
  for (const worker of workers) await worker.assertBalance();
  expect(await errorOf(scrip.accounts.listAccounts({}))).toMatchObject({
    ...{ reason: 'DATABASE_UNAVAILABLE', metadata: { cell: 'old' } },
  });
  expect((await run('split', '--take-back')).exitCode).toBe(0);
  await assertWhole(workers, 1);
});

test('a move that was killed before it switched can be taken back', async () => {
  const workers = await begin(60);
  await killedAt('leaving', '60-69');
  expect(await run('split', '--take-back')).toEqual({
    exitCode: 0,
    lines: ['slots 60-69: the move from old to new was taken back'],
  });
  await assertWhole(workers, 0);
});
