/** `scrip cells place`, and what follows from where a cell is. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { presentAddress } from '../../src/cells/citus-node.ts';
import { formatServer } from '../../src/cells/place-cell.ts';
import { capture } from '../cli/in-process.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { type Cells, createCells, workers } from './cluster.ts';

let given: Cells;
let servers: readonly string[];
beforeAll(async () => {
  given = await createCells('one');
  servers = (await workers()).map(formatServer);
});
afterAll(() => given?.remove());

async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(args, { CELLS_FILE: given.file });
  return { exitCode, lines: lines.map(({ text }) => text) };
}

const serverNow = async () => {
  const [cell] = given.cells;
  if (!cell) throw new Error('there is no cell');
  return new URL((await presentAddress(cell)).url).host;
};

test('a server that the cluster has not is refused, and nothing is distributed', async () => {
  expect(await run('cells', 'place', 'one', 'nowhere:5432')).toEqual({
    exitCode: 2,
    lines: [
      `scrip: the cluster has no server nowhere:5432 that takes tables: there are ${servers.join(', ')}`,
    ],
  });
  await expect(serverNow()).rejects.toThrow(/is not distributed: run scrip cells place/);
});

test('a cell is distributed, moved, and left where it is', async () => {
  const [first = '', second = ''] = servers;
  const placed = await run('cells', 'place', 'one', second);
  expect(placed.exitCode).toBe(0);
  expect(placed.lines[0]).toBe('cell one: its schema is distributed now');
  expect(await serverNow()).toBe(second);
  expect(await run('cells', 'place', 'one', first)).toEqual({
    exitCode: 0,
    lines: [`cell one: moved from ${second} to ${first}`],
  });
  expect(await serverNow()).toBe(first);
  expect(await run('cells', 'place', 'one', first)).toEqual({
    exitCode: 0,
    lines: [`cell one: is on ${first}`],
  });
});

test('it is moved with the command that moves cells of plain servers', async () => {
  const [first = '', second = ''] = servers;
  const moved = await run('cells', 'move', 'one', '--to', second);
  expect(moved).toEqual({
    exitCode: 0,
    lines: [
      `cell one: moved from ${first} to ${second}`,
      expect.stringMatching(/^cell one: copied in \d+\.\d s$/),
    ],
  });
  expect(await serverNow()).toBe(second);
  expect(await run('cells', 'move', 'one', '--to', 'two')).toMatchObject({ exitCode: 2 });
});

test('commands work on the server that has the cell', async () => {
  expect(await run('plans', 'publish')).toMatchObject({ exitCode: 0 });
  expect(await run('cells', 'check')).toEqual({ exitCode: 0, lines: ['ok (1 cell)'] });
  expect((await run('cells', 'list')).lines.join('\n')).toContain(await serverNow());
  expect(await run('verify')).toMatchObject({ exitCode: 0 });
  expect(await run('migrate')).toMatchObject({
    exitCode: 0,
    lines: ['cell one: the schema is up to date'],
  });
});

test('tables that a later version adds go to the server of the cell', async () => {
  const [cell] = given.cells;
  if (!cell) throw new Error('there is no cell');
  await execute(cell.url, 'create table later (account_id text primary key)');
  await execute(cell.url, 'alter table later add column note text, add column at timestamptz');
  await execute(cell.url, 'grant select, insert, update (note) on later to scrip_runtime');
  const { url } = await presentAddress(cell);
  await execute(url, `insert into later values ('acme', 'a note')`);
  expect(await execute(cell.url, 'select account_id, note from later')).toEqual([
    { account_id: 'acme', note: 'a note' },
  ]);
  await execute(cell.url, 'drop table later');
});

describe('a database without Citus', () => {
  test('is no cluster', async () => {
    const url = await createEmptyDatabase(inject('postgresUrl'));
    const cell = { name: 'plain', url, citusSchema: 'ledger' };
    await expect(presentAddress(cell)).rejects.toThrow(/the database has no Citus/);
  });
});
