/** Commands over two cells on two servers. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type CellAddress, parseCellsFile } from '../../src/cells/cells-file.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { capture } from '../cli/in-process.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { requestId, startTestService } from '../service.ts';
import { startTwoCells, type TwoCells } from './installation.ts';

let two: TwoCells;
let directory: string;
/** Of one account in each cell. */
let one: string;
let other: string;
beforeAll(async () => {
  two = await startTwoCells();
  directory = await mkdtemp(join(tmpdir(), 'scrip-cell-commands-'));
  [one, other] = [two.idIn('one'), two.idIn('two')];
});
afterAll(async () => {
  await two?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** What a command prints, and how it ends. */
async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(args, { CELLS_FILE: two.file });
  return { exitCode, lines: lines.map(({ text }) => text) };
}

const PLAN = (credits: number, from = '') => `
plan_id: metered
title: Metered
terms: {}
packs: []
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] }
${from && `changes:\n  - effective_at: ${from}\n    operations:\n      job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: 9 }] }\n`}`;

async function publish(content: string) {
  const file = join(directory, 'metered.yaml');
  await writeFile(file, content);
  return await run('plans', 'publish', file);
}

const rateCards = () =>
  Promise.all(
    two.cells.map(({ url }) =>
      execute(url, 'select plan_id, version, effective_at from rate_cards order by 1, 2'),
    ),
  );

test('plans are published in every cell, and take effect at one instant', async () => {
  expect(await publish(PLAN(1))).toMatchObject({
    exitCode: 0,
    lines: expect.arrayContaining(['published: 1']),
  });
  expect(await publish(PLAN(2))).toMatchObject({ exitCode: 0 });
  const [first, second] = await rateCards();
  expect(first).toHaveLength(2);
  expect(second).toEqual(first);
  expect(await run('cells', 'check')).toEqual({ exitCode: 0, lines: ['ok (2 cells)'] });
});

test('a cell that lacks what others have published is named, and gets all of it with the next publication', async () => {
  const [, { url }] = two.cells;
  await execute(url, 'delete from rate_cards');
  await execute(url, 'delete from plan_versions');
  await execute(url, 'delete from plans');
  expect(await run('cells', 'check')).toEqual({
    exitCode: 1,
    lines: ['cell two has not published metered version 1, rate card 2, and another cell has'],
  });
  const file = join(directory, 'metered.yaml');
  const gets = 'cell two gets metered version 1, rate card 2';
  expect(await run('plans', 'publish', file, '--dry-run')).toEqual({
    exitCode: 0,
    lines: [gets, 'metered: no change', 'dry run: nothing was published'],
  });
  expect(await run('plans', 'publish', file)).toEqual({
    exitCode: 0,
    lines: [gets, 'metered: no change'],
  });
  expect(await run('plans', 'publish', file)).toEqual({
    exitCode: 0,
    lines: ['metered: no change', 'nothing to publish'],
  });
  expect(await publish(PLAN(3))).toMatchObject({ exitCode: 0 });
  const [first, second] = await rateCards();
  expect(first).toHaveLength(3);
  expect(second).toEqual(first);
  expect(await run('cells', 'check')).toEqual({ exitCode: 0, lines: ['ok (2 cells)'] });
});

test('nothing is published while a cell is down', async () => {
  const before = await rateCards();
  await two.network.close();
  try {
    expect(await publish(PLAN(4))).toEqual({
      exitCode: 2,
      lines: [expect.stringMatching(/^scrip: cell two: .*ECONNREFUSED/)],
    });
    expect(await run('cells', 'check')).toEqual({
      exitCode: 1,
      lines: [expect.stringMatching(/^cell two: .*ECONNREFUSED/)],
    });
  } finally {
    await two.network.open();
  }
  expect(await rateCards()).toEqual(before);
});

test('verify audits all cells, or that of an account', async () => {
  const scrip = await startTestService({ installation: two.installation, plans: [] });
  for (const accountId of [one, other])
    await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'metered' });
  await scrip.stop();
  expect(await run('verify')).toEqual({
    exitCode: 0,
    lines: ['one', 'two'].map((cell) =>
      expect.stringMatching(`^verify: cell ${cell}: ok \\(1 account, \\d entr(y|ies), \\d+ ms\\)$`),
    ),
  });
  expect(await run('verify', '--account', other)).toMatchObject({
    exitCode: 0,
    lines: [expect.stringMatching(/^verify: cell two: ok \(1 account/)],
  });
  expect(await run('verify', '--cell', 'three')).toMatchObject({
    exitCode: 2,
    lines: [expect.stringContaining('there is no cell three: there are one, two')],
  });
});

test('verify of a cell that is not there fails, also where there is one', async () => {
  const alone = [{ CELLS_FILE: two.file }, { DATABASE_URL: two.cells[0].url }];
  for (const env of alone) {
    const { exitCode, lines } = await capture(['verify', '--cell', 'three'], env);
    expect(exitCode).toBe(2);
    expect(lines[0]?.text).toMatch(/^scrip: there is no cell three: there are (one, two|default)$/);
  }
});

test('verify names the cell of a discrepancy, and goes on in the others', async () => {
  const [{ url }] = two.cells;
  await execute(url, 'update accounts set grant_count = grant_count + 1');
  try {
    const { exitCode, lines } = await run('verify');
    expect(exitCode).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(`^verify: cell one: account ${one}: .*grant`),
      expect.stringMatching(/^verify: cell two: ok /),
    ]);
  } finally {
    await execute(url, 'update accounts set grant_count = grant_count - 1');
  }
});

test('verify finds an account in a cell that its slot does not belong to', async () => {
  const [{ url }] = two.cells;
  const slots = JSON.stringify({ one: [[0, 0]], two: [[1, 4095]] });
  const [row] = await execute(url, 'select slots from cells');
  await execute(url, 'update cells set slots = $1', [slots]);
  try {
    expect((await run('verify', '--cell', 'one')).lines).toEqual([
      expect.stringMatching(
        `^verify: cell one: account ${one}: it is in cell one, and its slot \\d+ belongs to two$`,
      ),
    ]);
  } finally {
    await execute(url, 'update cells set slots = $1', [JSON.stringify(row?.['slots'])]);
  }
});

test('verify of a cell that is down fails, and audits the others', async () => {
  await two.network.close();
  try {
    const { exitCode, lines } = await run('verify');
    expect(exitCode).toBe(2);
    expect(lines[0]).toMatch(/^verify: cell one: ok /);
    expect(lines[1]).toMatch(/^scrip: cell two: .*ECONNREFUSED/);
  } finally {
    await two.network.open();
  }
});

test.each([
  ['usage', 'rebuild'],
  ['roll-forward', 'rebuild'],
])('%s %s of an account works on its cell alone', async (...command) => {
  const ended = await run(...command, other);
  expect(ended.lines).toEqual(['cell two', expect.stringMatching(/^rebuilt \(accounts 1, /)]);
  expect(ended.exitCode).toBe(0);
  await two.network.close();
  try {
    expect(await run(...command, one)).toMatchObject({ exitCode: 0 });
  } finally {
    await two.network.open();
  }
});

test('a move of slots names a cell that is down', async () => {
  await two.network.close();
  try {
    const ended = await run('cells', 'split', '--from', 'one', '--to', 'two', '--slots', '0');
    expect(ended).toMatchObject({
      exitCode: 2,
      lines: [expect.stringMatching(/^scrip: cell two: .*ECONNREFUSED/)],
    });
  } finally {
    await two.network.open();
  }
});

test('archiving goes on in the other cells where one is down', async () => {
  const { cells } = two;
  const file = join(directory, 'two-first.yaml');
  await writeFile(file, JSON.stringify({ cells: cells.toReversed().map(toConfigured) }));
  await two.network.close();
  try {
    const { exitCode, lines } = await capture(['archive', '--before', '2020-01', '--dry-run'], {
      CELLS_FILE: file,
    });
    expect(exitCode).toBe(2);
    expect(lines.map(({ text }) => text)).toEqual([
      'cell two',
      'cell one',
      'nothing to archive before 2020-01',
      expect.stringMatching(/^scrip: cell two: .*ECONNREFUSED/),
    ]);
  } finally {
    await two.network.open();
  }
});

const toConfigured = ({ name, url }: CellAddress) => ({ name, database_url: url });

test('anchors of each cell are written to a folder of its own', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = join(directory, 'key.pem');
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const anchors = join(directory, 'anchors');
  const written = await run('anchor', 'write', '--directory', anchors, '--key', key);
  expect(written).toMatchObject({
    exitCode: 0,
    lines: expect.arrayContaining(['cell one', 'cell two']),
  });
  for (const cell of ['one', 'two'])
    expect(await readdir(join(anchors, cell))).toEqual([expect.stringMatching(/^anchor-.*\.gz$/)]);
});

test('the doctor and the clock look at every cell', async () => {
  const { lines } = await run('doctor');
  expect(lines.filter((line) => line.startsWith('cell '))).toEqual(['cell one', 'cell two']);
  const clocks = await run('clock', 'status');
  expect(clocks.exitCode).toBe(0);
  expect(clocks.lines.filter((line) => line.startsWith('database '))).toHaveLength(2);
});

test('cells list shows where they are, without passwords, and their slots', async () => {
  const { exitCode, lines } = await run('cells', 'list');
  expect(exitCode).toBe(0);
  const text = lines.join('\n');
  expect(text).toMatch(/one +127\.0\.0\.1:\d+\/empty_\w+ +version 1 +2048 +0-2047/);
  expect(text).toMatch(/two +127\.0\.0\.1:\d+\/scrip ledger +version 1 +2048 +2048-4095/);
  for (const { url } of two.cells) expect(text).not.toContain(new URL(url).password);
});

test('a ledger that was there before keeps its accounts when cells are added beside it', async () => {
  const [url, added] = [
    await createEmptyDatabase(inject('postgresUrl')),
    await createEmptyDatabase(inject('postgresUrl')),
  ];
  await migrateConfigured({ DATABASE_URL: url });
  await execute(
    url,
    `insert into accounts select (jsonb_populate_record(a, '{"account_id": "acme"}')).* from jsonb_populate_record(
       null::accounts, $1) a`,
    [await anAccount()],
  );
  const file = join(directory, 'added.yaml');
  const content = `cells:\n  - { name: added, database_url: "${added}" }\n  - { name: old, database_url: "${url}" }\n`;
  expect(parseCellsFile(file, content)).toHaveProperty('cells');
  await writeFile(file, content);
  expect((await migrateConfigured({ CELLS_FILE: file })).slice(2)).toEqual([
    'cell old: recorded version 1 of the map, slots 0-4095',
    'cell added: recorded version 1 of the map, slots none',
  ]);
});

/** A row of accounts. */
async function anAccount(): Promise<string> {
  const [row] = await execute(two.cells[0].url, 'select to_jsonb(a)::text as row from accounts a');
  return String(row?.['row']);
}
