/** Lists over cells whose databases sort texts as words, as most servers do, and not by their bytes. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { findInstallation } from '../../src/cells/installation.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { capture } from '../cli/in-process.ts';
import { createEmptyDatabase } from '../postgres.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';
import { cellsOf } from './installation.ts';

/** In both cells, and as words in another order than as bytes. */
const IDS = ['B-1', 'a-1', 'C-1', 'b-1', 'A-1', 'c-1', 'Z-1', 'z-1', 'Y_1', 'y.1', 'y-1', 'x:1'];

const AS_WORDS = "template template0 locale_provider icu icu_locale 'en-US'";
const AS_BYTES = "template template0 locale_provider libc locale 'C'";

let directory: string;
let scrip: TestService;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-words-'));
  const file = await installCells(AS_WORDS, AS_WORDS);
  const found = await findInstallation(cellsOf(file), true);
  if ('problems' in found) throw new Error(found.problems.join('; '));
  scrip = await startTestService({ installation: found.installation });
  for (const accountId of IDS) {
    const named = () => ({ accountId, requestId: requestId() });
    await scrip.accounts.openAccount({ ...named(), planId: 'verts' });
    await scrip.accounts.setShadowMode({ ...named(), enabled: true, reason: 'a test' });
    await scrip.billing.charge({ ...named(), credits: 1n });
  }
});
afterAll(async () => {
  await scrip?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Makes cells on databases that sort so. Returns their CELLS_FILE. */
async function installCells(...orders: readonly string[]): Promise<string> {
  const file = join(directory, `${randomUUID()}.yaml`);
  const cells = [];
  for (const [index, order] of orders.entries())
    cells.push({
      name: ['one', 'two'][index],
      database_url: await createEmptyDatabase(inject('postgresUrl'), order),
    });
  await writeFile(file, JSON.stringify({ cells }));
  await migrateConfigured({ CELLS_FILE: file });
  const now = Date.now();
  for (const { url } of cellsOf(file)) await publishAt(url, await plansOfDeploy(), now);
  return file;
}

test.each([
  [AS_WORDS, AS_WORDS, 'ok (2 cells)'],
  [
    AS_WORDS,
    AS_BYTES,
    'the databases of cells one and two sort texts differently: lists over all cells can leave accounts out',
  ],
])('cells check compares the orders: %s, %s', async (one, two, line) => {
  const { lines } = await capture(['cells', 'check'], { CELLS_FILE: await installCells(one, two) });
  expect(lines.map(({ text }) => text)).toEqual([line]);
});

const asWords = IDS.toSorted(new Intl.Collator('en-US').compare);

test.each([1, 2, 5, 100])('ListAccounts leaves none out, %d a page', async (pageSize) => {
  const ids: string[] = [];
  for (let pageToken = ''; ; ) {
    const page = await scrip.accounts.listAccounts({ pageSize, pageToken });
    ids.push(...page.accounts.map(({ accountId }) => accountId));
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  expect(ids).toEqual(asWords);
});

test.each([1, 2, 5, 100])('ListShadowDecisions leaves none out, %d a page', async (pageSize) => {
  const ids: string[] = [];
  for (let pageToken = ''; ; ) {
    const page = await scrip.accounts.listShadowDecisions({ pageSize, pageToken });
    ids.push(...page.decisions.map(({ accountId }) => accountId));
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  expect(ids).toEqual(asWords);
});
