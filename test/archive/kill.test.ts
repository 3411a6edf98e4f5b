/** The archiver is killed at any point: nothing is lost, nothing is read twice, and the next run ends what it had begun. */
import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { partOf, writePart } from '../../src/archiver/write-part.ts';
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { connectAsArchiver } from '../../src/pg/orm.ts';
import { entities } from '../../src/store/tables/index.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, entriesOf, openWithCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const START = Date.parse('2024-01-10T12:00:00Z');

let scrip: TestService;
let directory: string;
let accountIds: string[];
let before: Map<string, readonly Entry[]>;

beforeEach(async () => {
  directory = temporaryDirectory();
  scrip = await startTestService({ frozenAt: START, env: { ARCHIVE_DIRECTORY: directory } });
  accountIds = [];
  for (let account = 0; account < 3; account++) {
    const accountId = await openWithCredits(scrip, 1_000n);
    accountIds.push(accountId);
    for (let charge = 0; charge < 10; charge++)
      await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  }
  before = await histories();
  scrip.advance(40 * DAY);
});
afterEach(() => scrip.stop());

async function histories(): Promise<Map<string, readonly Entry[]>> {
  const found = new Map<string, readonly Entry[]>();
  for (const accountId of accountIds) {
    const entries = await entriesOf(scrip, accountId);
    found.set(
      accountId,
      entries.filter(({ seq }) => seq <= 12n),
    );
  }
  return found;
}

async function expectWhole() {
  const audited = { all: true, archiveDirectory: directory };
  expect(await verify(scrip.databaseUrl, audited)).toMatchObject({ ok: true });
  expect(await histories()).toEqual(before);
}

const inTable = async (): Promise<number> => {
  const [row] = await execute(
    scrip.databaseUrl,
    'select count(*)::int as entries from entries where seq <= 12',
  );
  return (row as { entries: number }).entries;
};

class Killed extends Error {}

test('after a file was recorded: the next run deletes its rows', async () => {
  const killed = archiveLedger(scrip, directory, '2024-02', {
    around: () => () => Promise.reject(new Killed()),
  });
  await expect(killed).rejects.toThrow(Killed);
  expect(await inTable()).toBe(36);
  await expectWhole();
  const parts = await archiveLedger(scrip, directory, '2024-02');
  expect(parts).toMatchObject([{ entries: 36n, deleted: 36 }]);
  expect(await inTable()).toBe(0);
  await expectWhole();
});

test('between the checkpoints of two accounts', async () => {
  let written = 0;
  const killed = archiveLedger(scrip, directory, '2024-02', {
    around: (write) => async (accountId, command) => {
      written += 1;
      if (written > 1) throw new Killed();
      return await write(accountId, command);
    },
  });
  await expect(killed).rejects.toThrow(Killed);
  expect(await inTable()).toBe(36);
  await expectWhole();
  await archiveLedger(scrip, directory, '2024-02');
  expect(await inTable()).toBe(0);
  const checkpoints = await execute(
    scrip.databaseUrl,
    `select account_id, count(*)::int as count from history where kind = 'CHECKPOINT' group by 1`,
  );
  expect(checkpoints.map((row) => (row as { count: number }).count)).toEqual([1, 1, 1]);
  await expectWhole();
});

test('between two parts', async () => {
  const killed = archiveLedger(scrip, directory, '2024-02', {
    partMax: 7,
    onPart: () => {
      throw new Killed();
    },
  });
  await expect(killed).rejects.toThrow(Killed);
  expect(await inTable()).toBe(29);
  await expectWhole();
  await archiveLedger(scrip, directory, '2024-02', { partMax: 7 });
  expect(await inTable()).toBe(0);
  await expectWhole();
});

test('before a file was recorded: it is written again, to another file', async () => {
  await writeFile(join(directory, 'entries-2024-01-0001-aaaaaaaa.parquet'), randomBytes(100));
  await archiveLedger(scrip, directory, '2024-02');
  expect(await readdir(directory)).toHaveLength(2);
  expect(await inTable()).toBe(0);
  await expectWhole();
});

test('a part that comes to nothing leaves nothing in the directory', async () => {
  const orm = await connectAsArchiver(scrip.databaseUrl, entities);
  const [accountId = ''] = accountIds;
  // As where an erasure has begun since the candidates were read.
  const gone = [{ accountId, after: 100n, upTo: 110n }];
  const part = partOf('2024-01', 1);
  try {
    expect(await writePart(() => orm.em.fork(), directory, part, gone)).toBe(0);
    expect(await readdir(directory)).toEqual([]);
  } finally {
    await orm.close();
  }
});

test('a mutation while the archiver works is neither lost nor archived', async () => {
  const [accountId = ''] = accountIds;
  await archiveLedger(scrip, directory, '2024-02', {
    around: (write) => async (id, command) => {
      await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      return await write(id, command);
    },
  });
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  expect(await inTable()).toBe(0);
  await expectWhole();
});

test('a file that is missing, altered or swapped is named', async () => {
  await archiveLedger(scrip, directory, '2024-02', { partMax: 18 });
  const [one = '', other = ''] = (await readdir(directory)).sort();
  const path = join(directory, one);
  const audit = () => verify(scrip.databaseUrl, { all: true, archiveDirectory: directory });
  const named = { accountId: null, what: expect.stringContaining(one) };

  await rename(path, `${path}.away`);
  expect(await audit()).toMatchObject({ discrepancies: expect.arrayContaining([named]) });
  const [accountId = ''] = accountIds.toSorted();
  expect(await errorOf(scrip.billing.listEntries({ accountId, beforeSeq: 3n }))).toMatchObject({
    reason: 'ARCHIVE_UNAVAILABLE',
    metadata: { file: one },
  });

  await rename(join(directory, other), path);
  expect(await audit()).toMatchObject({ discrepancies: expect.arrayContaining([named]) });
  await rename(path, join(directory, other));
  await rename(`${path}.away`, path);
  await expectWhole();
  await rm(path);
});
