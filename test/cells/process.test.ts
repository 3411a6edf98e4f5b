/** The service as a process with CELLS_FILE. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPublished, startService } from '../process/replica.ts';
import { requestId } from '../service.ts';
import { accountsIn, publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

let two: TwoCells;
beforeAll(async () => {
  two = await startTwoCells();
});
afterAll(() => two?.stop());

test('starts on all cells, and stops cleanly', async () => {
  await publishInBoth(two);
  const replica = await startPublished({ CELLS_FILE: two.file });
  const ids = [two.idIn('one'), two.idIn('two')];
  for (const accountId of ids)
    await replica.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  const { accounts } = await replica.accounts.listAccounts({});
  expect(accounts.map(({ accountId }) => accountId)).toEqual(ids.toSorted());
  expect(await accountsIn(two.cells[1])).toEqual([ids[1]]);
  const { code } = await replica.signal('SIGTERM');
  expect(code).toBe(0);
});

test.each([
  [
    'a cell of the map is missing in the file',
    ({ cells: [{ url }] }: TwoCells) => `cells: [{ name: one, database_url: "${url}" }]`,
    'scrip: the map gives slots to cell two, which CELLS_FILE does not list: add it',
  ],
  [
    'two cells are exchanged',
    ({ cells: [one, other] }: TwoCells) =>
      `cells: [{ name: one, database_url: "${other.url}" }, { name: two, database_url: "${one.url}" }]`,
    [
      'scrip: the database of cell one says that it is cell two: correct its URL, schema or name in CELLS_FILE',
      'scrip: the database of cell two says that it is cell one: correct its URL, schema or name in CELLS_FILE',
    ].join('\n'),
  ],
  ['the file is empty', () => 'cells: []', /^scrip: .*cells: must not be empty$/],
])('does not start where %s', async (_, contentOf, said) => {
  const file = join(two.file, '..', 'wrong.yaml');
  await writeFile(file, contentOf(two));
  const { code, stderr } = await startService({ CELLS_FILE: file }).ended;
  expect(code).toBe(1);
  if (typeof said === 'string') expect(stderr.trimEnd()).toBe(said);
  else expect(stderr.trimEnd()).toMatch(said);
});

test('does not start on one of several cells as if it were the only one', async () => {
  const [{ url }] = two.cells;
  expect(await startService({ DATABASE_URL: url }).ended).toMatchObject({
    code: 1,
    stderr:
      'scrip: the database is cell one, and its map has the cells one, two: list them in CELLS_FILE instead of DATABASE_URL\n',
  });
});
