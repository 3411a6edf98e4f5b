/** `scrip archive`, as a process with the login of the page. */
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DAY, openWithCredits } from '../accounts.ts';
import { runScrip } from '../cli/run-scrip.ts';
import { codeOf } from '../docs/snippets.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { temporaryDirectory } from './archiving.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: Date.now() - 70 * DAY });
});
afterAll(() => scrip.stop());

test('says what it would move, moves it, and goes on where nothing is left', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  const directory = temporaryDirectory();
  const month = new Date(scrip.now() + 35 * DAY).toISOString().slice(0, 7);
  const login = await documentedLogin();
  try {
    const archive = (...args: readonly string[]) =>
      runScrip(['archive', '--before', month, ...args], {
        DATABASE_URL: login.url,
        ARCHIVE_DIRECTORY: directory,
      });
    const planned = await archive('--dry-run');
    expect(planned).toMatchObject({ exitCode: 0, stderr: '' });
    expect(planned.stdout).toMatch(/^month +accounts +entries\n\d{4}-\d{2} +1 +3$/m);
    expect(await readdir(directory)).toEqual([]);
    const moved = await archive();
    expect(moved).toMatchObject({ exitCode: 0, stderr: '' });
    expect(moved.stdout).toMatch(
      /^entries-.*\.parquet: 3 entries, (\d+) bytes; 3 rows deleted in \d+\.\d s\narchived 3 entries before \d{4}-\d{2} in 1 file, \1 bytes, in \d+\.\d s\n$/,
    );
    expect(await readdir(directory)).toHaveLength(1);
    expect(await archive()).toMatchObject({
      exitCode: 0,
      stdout: `nothing to archive before ${month}\n`,
    });
  } finally {
    await login.drop();
  }
});

test('keeps as many months as it is told, by the clock of the database', async () => {
  await openWithCredits(scrip, 10n);
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  const env = { DATABASE_URL: scrip.databaseUrl, ARCHIVE_DIRECTORY: temporaryDirectory() };
  const keep = (months: number) => runScrip(['archive', '--keep-months', `${months}`], env);
  const firstKept = async (months: number) => {
    const [row] = await execute(
      scrip.databaseUrl,
      `select to_char(now() at time zone 'utc' - interval '${months} months', 'YYYY-MM') as month`,
    );
    return row?.['month'];
  };
  // Its entries are 70 days old: before the last month, and not before the third.
  const monthsAtStart = [await firstKept(3), await firstKept(1)];
  const runs = [await keep(3), await keep(1), await keep(1)];
  const monthsAtEnd = [await firstKept(3), await firstKept(1)];
  expect(runs).toMatchObject(runs.map(() => ({ exitCode: 0, stderr: '' })));
  const [none, some, noMore] = runs.map(({ stdout }) => stdout);
  const [third, last] = runs.map(({ stdout }) => /before (\d{4}-\d{2})/.exec(stdout)?.[1]);
  expect(none).toBe(`nothing to archive before ${third}\n`);
  expect(some).toMatch(/^archived 2 entries before .* in 1 file, /m);
  expect(noMore).toMatch(/^nothing to archive before /);
  // A month can end meanwhile.
  expect([monthsAtStart[0], monthsAtEnd[0]]).toContain(third);
  expect([monthsAtStart[1], monthsAtEnd[1]]).toContain(last);
});

/** Roles belong to the server: the login gets a name of its own. */
async function documentedLogin() {
  const name = `archive_${requestId().replaceAll('-', '')}`;
  const [sql = ''] = codeOf('docs/archiving.md', 'sql');
  await execute(
    scrip.databaseUrl,
    sql.replace('scrip_archive ', `${name} `).replace('…', 'secret'),
  );
  const url = Object.assign(new URL(scrip.databaseUrl), { username: name, password: 'secret' });
  return { url: url.href, drop: () => execute(scrip.databaseUrl, `drop role ${name}`) };
}
