/** The journal in a directory: what it keeps, and who takes it over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openJournal } from '../../../clients/typescript/src/reservation/file-journal.ts';
import {
  type JournalRecord,
  toLine,
} from '../../../clients/typescript/src/reservation/journal-record.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-journal-'));
});
afterEach(() => rm(directory, { recursive: true }));

const start = (job: string): JournalRecord => ({
  type: 'reserve',
  job,
  account: 'acct',
  reference: 'a reference',
  at: '2026-11-09T10:30:00.000Z',
  request: 'cmVzZXJ2ZQ==',
});
const commit = (job: string): JournalRecord => ({ type: 'commit', job, request: 'Y29tbWl0' });
const end = (job: string): JournalRecord => ({
  type: 'end',
  job,
  outcome: 'charged',
  charged: '1',
});

/** What a process left that died. */
const leave = (name: string, text: string) => writeFile(join(directory, `${name}.journal`), text);
const files = async () => (await readdir(directory)).filter((name) => name.endsWith('.journal'));

test('jobs that have not ended are taken over, once', async () => {
  await leave('dead', [start('1'), start('2'), commit('1'), end('2')].map(toLine).join(''));
  const [one, other] = await Promise.all([openJournal(directory), openJournal(directory)]);
  const taken = await Promise.all([one.takeOver(), other.takeOver()]);
  expect(taken.map((records) => [...records]).sort((a, b) => a.length - b.length)).toEqual([
    [],
    [start('1'), commit('1')],
  ]);
  expect([...(await one.takeOver()), ...(await other.takeOver())]).toEqual([]);
  await Promise.all([one.close(), other.close()]);
});

test('a torn last line is no record', async () => {
  await leave('dead', toLine(start('1')) + toLine(commit('1')).slice(0, -20));
  const journal = await openJournal(directory);
  expect(await journal.takeOver()).toEqual([start('1')]);
  await journal.close();
});

test('what was taken over and not finished is taken over again', async () => {
  const source = `
    const { openJournal } = await import(${JSON.stringify(
      new URL('../../../clients/typescript/src/reservation/file-journal.ts', import.meta.url),
    )});
    const journal = await openJournal(${JSON.stringify(directory)});
    const taken = [...await journal.takeOver()];
    process.stdout.write(JSON.stringify(taken));
    process.kill(process.pid, 'SIGKILL');
  `;
  await leave('dead', [start('1'), commit('1')].map(toLine).join(''));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source]);
  child.stderr.pipe(process.stderr);
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  await once(child, 'close');
  expect(JSON.parse(stdout)).toEqual([start('1'), commit('1')]);

  const journal = await openJournal(directory);
  expect(await journal.takeOver()).toEqual([start('1'), commit('1')]);
  await journal.close();
});

test('the file of a process that lives is left alone', async () => {
  const living = await openJournal(directory);
  await living.write(start('1'), true);
  const other = await openJournal(directory);
  expect(await other.takeOver()).toEqual([]);
  // Closed, it is nobody's.
  await living.close();
  expect(await other.takeOver()).toEqual([start('1')]);
  await other.write(end('1'), false);
  await other.close();
  expect(await readdir(directory)).toEqual([]);
});

test('records are in the file when they are written, in their order', async () => {
  const journal = await openJournal(directory);
  const records = Array.from({ length: 500 }, (_, index) => start(String(index)));
  await Promise.all(records.map((record, index) => journal.write(record, index % 3 === 0)));
  const [file] = await files();
  expect(await readFile(join(directory, file!), 'utf8')).toBe(records.map(toLine).join(''));
  await journal.close();
});

test('a file with many jobs that have ended is written anew without them', async () => {
  const journal = await openJournal(directory);
  await journal.write(start('open'), true);
  for (let round = 0; round < 20; round++) {
    const jobs = Array.from({ length: 500 }, (_, index) => `${round}-${index}`);
    await Promise.all(
      jobs.flatMap((job) => [start(job), end(job)].map((r) => journal.write(r, false))),
    );
  }
  await journal.write(commit('open'), true);
  const [file] = await files();
  expect((await stat(join(directory, file!))).size).toBeLessThan(1.3 * 2 ** 20);
  await journal.close();
  const next = await openJournal(directory);
  expect(await next.takeOver()).toEqual([start('open'), commit('open')]);
  await next.write(end('open'), false);
  await next.close();
});

test('a directory whose sockets would have too long a path is refused', async () => {
  await expect(openJournal(join(directory, 'x'.repeat(100)))).rejects.toThrow('too long');
});

test('a journal that is closed refuses to write', async () => {
  const journal = await openJournal(directory);
  await journal.close();
  await expect(journal.write(start('1'), true)).rejects.toThrow('closed');
});

test('a full disk is told, and what fits again is kept whole', async () => {
  const program = new URL('./full-disk.ts', import.meta.url).pathname;
  const limited = `trap '' XFSZ; ulimit -f 2; exec "$0" "$1" "$2"`;
  const child = spawn('sh', ['-c', limited, process.execPath, program, directory], {
    env: { PATH: process.env['PATH'] },
  });
  child.stderr.pipe(process.stderr);
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  await once(child, 'close');
  const { written, failure, second } = JSON.parse(stdout);
  expect(written).toBeGreaterThan(1);
  expect({ failure, second }).toEqual({ failure: 'EFBIG', second: 'EFBIG' });

  const journal = await openJournal(directory);
  const taken = [...(await journal.takeOver())];
  expect(taken.map(({ type, job }) => ({ type, job }))).toEqual([
    { type: 'reserve', job: '0' },
    { type: 'commit', job: '0' },
  ]);
  await journal.close();
});
