/** CELLS_FILE: what it may say, and that no secret of it is shown. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseCellsFile, readCellsFile, withSchema } from '../../src/cells/cells-file.ts';
import { snippet } from '../docs/snippets.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-cells-'));
});
afterAll(() => rm(directory, { recursive: true }));

const parse = (text: string) => parseCellsFile('cells.yaml', text);
const problemsOf = (text: string) => {
  const parsed = parse(text);
  return 'problems' in parsed ? parsed.problems : [];
};

test('lists cells with their databases, secret files and schemas', async () => {
  const secret = join(directory, 'secret');
  await writeFile(secret, ' postgres://me:secret@b/scrip\n');
  expect(
    parse(`
cells:
  - { name: one, database_url: "postgres://a/scrip" }
  - { name: two, database_url_file: ${secret} }
  - { name: three, database_url: "postgres://a/scrip", schema: ledger_3 }
  - { name: four, database_url: "postgres://a/scrip", schema: ledger_4, citus: true }
`),
  ).toEqual({
    cells: [
      { name: 'one', url: 'postgres://a/scrip' },
      { name: 'two', url: 'postgres://me:secret@b/scrip' },
      { name: 'three', url: 'postgres://a/scrip?options=-c%20search_path%3Dledger_3' },
      {
        name: 'four',
        url: 'postgres://a/scrip?options=-c%20search_path%3Dledger_4',
        citusSchema: 'ledger_4',
      },
    ],
  });
});

test('that of docs/cells.md is valid, but for its secrets', () => {
  const problems = problemsOf(snippet('docs/cells.md', 'cells:'));
  expect(problems.length).toBeGreaterThan(0);
  for (const problem of problems) expect(problem).toMatch(/cannot be read: ENOENT$/);
});

test.each([
  ['cells: []', 'cells.yaml: line 1: cells: must not be empty'],
  ['cells: [{ name: a }]', /cells\[0\]: must have either database_url or database_url_file/],
  [
    'cells: [{ name: a, database_url: "postgres://a/b", database_url_file: x }]',
    /must have either/,
  ],
  ['cells: [{ name: A, database_url: "postgres://a/b" }]', /must be 1 to 32 of a-z, 0-9 and -/],
  ['cells: [{ name: a, database_url: "mysql://a/b" }]', /must be a postgres:\/\/ URL/],
  [
    'cells: [{ name: a, database_url: "postgres://a/b", schema: "x; drop" }]',
    /must be 1 to 63 of a-z/,
  ],
  ['cells: [{ name: a, database_url: "postgres://a/b", schema: pg_x }]', /must not begin with pg_/],
  [
    'cells: [{ name: a, database_url: "postgres://a/b", citus: true }]',
    'cells.yaml: line 1: cells[0].schema: must be given: Citus distributes a schema',
  ],
  ['cells: [{ name: a, database_url: "postgres://a/b", slots: 5 }]', /unknown key/],
  [
    'cells:\n  - { name: a, database_url: "postgres://a/b" }\n  - { name: a, database_url: "postgres://c/d" }',
    'cells.yaml: line 3: cells[1].name: is the name of another cell, too',
  ],
  ['cells: [', /is not YAML/],
])('refuses %s', (text, problem) => {
  const found = problemsOf(text).join('\n');
  if (typeof problem === 'string') expect(found).toBe(problem);
  else expect(found).toMatch(problem);
});

test('shows no content of a file that cannot be used', async () => {
  const secret = join(directory, 'planted');
  await writeFile(secret, 'planted-secret');
  const text = `cells: [{ name: a, database_url_file: ${secret} }]`;
  expect(problemsOf(text)).toEqual([
    'database_url_file of cell a: its content must be a postgres:// URL',
  ]);
  expect(problemsOf('cells: [{ name: a, database_url: planted-secret }]').join()).not.toContain(
    'planted-secret',
  );
  expect(readCellsFile('planted-secret')).toEqual({
    problems: ['CELLS_FILE cannot be read: ENOENT'],
  });
});

test('a schema is added to the options that the URL has', () => {
  const url = withSchema('postgres://a/scrip?options=-c%20work_mem%3D8MB&sslmode=disable', 'two');
  const { options, ssl } = new pg.Client(url) as unknown as { options: string; ssl: unknown };
  expect({ options: new URL(url).searchParams.get('options'), ssl }).toEqual({
    options: '-c work_mem=8MB -c search_path=two',
    ssl: false,
  });
  expect(options).toBeUndefined();
});
