/** `scrip cells of`. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { slotOf } from '../../src/cells/slot.ts';
import { capture } from '../cli/in-process.ts';
import { createDatabase } from '../postgres.ts';
import { startTwoCells, type TwoCells } from './installation.ts';

let two: TwoCells;
beforeAll(async () => {
  two = await startTwoCells();
});
afterAll(() => two?.stop());

const run = async (accountId: string, env: Readonly<Record<string, string>>) => {
  const { exitCode, lines } = await capture(['cells', 'of', accountId], env);
  return { exitCode, lines: lines.map(({ text }) => text) };
};

test.each(['one', 'two'])('names cell %s for its accounts', async (cell) => {
  const id = two.idIn(cell);
  expect(await run(id, { CELLS_FILE: two.file })).toEqual({
    exitCode: 0,
    lines: [`cell ${cell}, slot ${slotOf(id)}`],
  });
});

test('answers while the cell is down', async () => {
  const id = two.idIn('two');
  await two.network.close();
  try {
    expect(await run(id, { CELLS_FILE: two.file })).toMatchObject({ exitCode: 0 });
  } finally {
    await two.network.open();
  }
});

test('one database is one cell', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  expect(await run('acme', { DATABASE_URL: url })).toEqual({
    exitCode: 0,
    lines: ['cell default, slot 2082'],
  });
});
