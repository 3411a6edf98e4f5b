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
      /^entries-.*\.parquet: 3 entries, (\d+) bytes; 3 rows deleted in \d+\.\d s\narchived 3 entries in 1 file, \1 bytes, in \d+\.\d s\n$/,
    );
    expect(await readdir(directory)).toHaveLength(1);
    expect(await archive()).toMatchObject({ exitCode: 0, stdout: 'nothing to archive\n' });
  } finally {
    await login.drop();
  }
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
