/** docs/anchors.md: a key by its commands, an anchor, and its comparison. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { snippet } from '../docs/snippets.ts';
import { startTestService, type TestService } from '../service.ts';

const PAGE = 'docs/anchors.md';
const root = new URL('../..', import.meta.url).pathname;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

let scrip: TestService;
let directory: string;
beforeAll(async () => {
  scrip = await startTestService();
  directory = await mkdtemp(join(tmpdir(), 'scrip-anchors-page-'));
});
afterAll(async () => {
  await scrip.stop();
  await rm(directory, { recursive: true });
});

/** In the clone, but with its files in another folder. */
async function run(commands: string): Promise<string> {
  const elsewhere = commands
    .replaceAll(/\banchor-key\./g, `${directory}/anchor-key.`)
    .replaceAll(/ anchors\b/g, ` ${directory}/anchors`);
  const env = { ...process.env, DATABASE_URL: scrip.databaseUrl };
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', elsewhere], {
    cwd: root,
    env,
  });
  return stdout;
}

test.skipIf(!hasOpenssl)('the commands make a key, write an anchor, and compare', async () => {
  await openWithCredits(scrip, 10n);
  await run(snippet(PAGE, 'openssl'));
  const [written = ''] = await readdir(join(directory, 'anchors'));
  expect(written).toMatch(/^anchor-.*\.jsonl\.gz$/);
  const compared = await run(
    snippet(PAGE, 'npm run verify').replace(/anchor-2026\S*\.jsonl\.gz/, written),
  );
  expect(compared).toMatch(/^verify: ok .*\nverify: as 1 accounts? of /m);
});
