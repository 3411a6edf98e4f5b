/** Files of the archive from the time when a cell was the only one: they stay where they are, and are read there. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { findInstallation } from '../../src/cells/installation.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { DAY, entriesOf, openWithCredits } from '../accounts.ts';
import { archiveLedger, temporaryDirectory } from '../archive/archiving.ts';
import { capture } from '../cli/in-process.ts';
import { createDatabase, createEmptyDatabase } from '../postgres.ts';
import { plansOfDeploy, requestId, startTestService } from '../service.ts';
import { cellsOf } from './installation.ts';

const START = Date.parse('2024-01-10T12:00:00Z');
const archive = temporaryDirectory();

let directory: string;
let databaseUrl: string;
let file: string;
let accountId: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-archive-of-before-'));
  databaseUrl = await createDatabase(inject('postgresUrl'));
  const scrip = await startTestService({ databaseUrl, frozenAt: START });
  accountId = await openWithCredits(scrip, 100n);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n });
  scrip.advance(40 * DAY);
  const killed = archiveLedger(scrip, archive, '2024-02', {
    around: () => () => Promise.reject(new Error('killed')),
  });
  await expect(killed).rejects.toThrow('killed');
  await scrip.stop();
  const added = await createEmptyDatabase(inject('postgresUrl'));
  file = join(directory, 'cells.yaml');
  const cells = [
    { name: 'old', database_url: databaseUrl },
    { name: 'new', database_url: added },
  ];
  await writeFile(file, JSON.stringify({ cells }));
  await migrateConfigured({ CELLS_FILE: file });
  await publishAt(added, await plansOfDeploy(), START);
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await rm(archive, { recursive: true, force: true });
});

test('a run that was killed before is ended, and history and audits read its file', async () => {
  const env = { CELLS_FILE: file, ARCHIVE_DIRECTORY: archive };
  const ended = await capture(['archive', '--before', '2024-02'], env);
  expect({ ...ended, lines: ended.lines.map(({ text }) => text) }).toEqual({
    exitCode: 0,
    lines: [
      'cell old',
      expect.stringMatching(/^entries-2024-01-0001-.*: 3 entries, .*; 3 rows deleted in /),
      expect.stringMatching(/^archived 3 entries before 2024-02 in 1 file/),
      'cell new',
      'nothing to archive before 2024-02',
    ],
  });
  expect(await readdir(archive)).toEqual([expect.stringMatching(/^entries-2024-01-0001-/)]);

  const found = await findInstallation(cellsOf(file), true);
  if ('problems' in found) throw new Error(found.problems.join('; '));
  const scrip = await startTestService({
    installation: found.installation,
    frozenAt: START + 40 * DAY,
    env: { ARCHIVE_DIRECTORY: archive },
  });
  try {
    expect((await entriesOf(scrip, accountId)).map(({ seq }) => seq)).toEqual([1n, 2n, 3n, 4n]);
  } finally {
    await scrip.stop();
  }
  const audited = await capture(['verify'], env);
  expect(audited).toMatchObject({ exitCode: 0 });
});
