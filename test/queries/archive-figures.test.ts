/** What metrics say of the archive. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { readArchiveFigures } from '../../src/queries/archive-figures.ts';
import { entities } from '../../src/store/tables/index.ts';
import { createDatabase, execute } from '../postgres.ts';

let databaseUrl: string;
let orm: Orm;
beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  orm = await connect(databaseUrl, entities, 1, 10_000);
});
afterAll(() => orm.close());

const figures = () => readArchiveFigures(orm.em.fork());

const addFile = (name: string, month: string, entries: number, finishedAt: string | null) =>
  execute(
    databaseUrl,
    `insert into archive_files (name, month, part, first_account, last_account, entries, bytes, sha256, finished_at)
     values ($1, $2, 1, 'a', 'b', $3, $3::bigint * 100, '', $4)`,
    [name, month, entries, finishedAt],
  );

test('where nothing is archived there are no times', async () => {
  expect(await figures()).toEqual({
    ...{ entries: 0, bytes: 0, unfinishedFiles: 0, finishedAt: null, archivedTo: null },
  });
});

test('files are counted, also one that is not finished, and the newest month ends where the next begins', async () => {
  await addFile('one', '2025-11', 7, '2026-02-01T10:00:00Z');
  await addFile('two', '2025-12', 3, '2026-02-01T11:00:00Z');
  expect(await figures()).toEqual({
    ...{ entries: 10, bytes: 1_000, unfinishedFiles: 0 },
    finishedAt: Date.parse('2026-02-01T11:00:00Z'),
    archivedTo: Date.parse('2026-01-01T00:00:00Z'),
  });
  await addFile('three', '2026-02', 5, null);
  expect(await figures()).toMatchObject({
    ...{ entries: 15, unfinishedFiles: 1, archivedTo: Date.parse('2026-03-01T00:00:00Z') },
  });
});
