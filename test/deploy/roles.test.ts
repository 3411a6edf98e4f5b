/** The logins of docs/deployment.md, and the owner that CloudNativePG makes, suffice to migrate and to serve. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.ts';
import { migrate } from '../../src/pg/migrate.ts';
import { codeOf } from '../docs/snippets.ts';
import { execute } from '../postgres.ts';
import { render, resourcesOf, theOnly } from './chart.ts';
import { ROOT } from './tools.ts';

let directory: string;
/** A server of its own: roles belong to the whole server. */
let postgres: EmbeddedPostgres;
/** The URL of its administrator. */
let admin: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-roles-'));
  postgres = await startEmbeddedPostgres(directory);
  admin = Object.assign(new URL(postgres.url), { pathname: '/postgres' }).href;
  // That of the embedded server.
  await execute(admin, 'drop database scrip');
});
afterEach(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true });
});

const urlOf = (user: string, database: string): string => {
  const url = new URL(postgres.url);
  Object.assign(url, { username: user, password: 'secret', pathname: `/${database}` });
  return url.href;
};

const runAll = async (url: string, sql: string) => {
  for (const statement of sql.split(/;.*$/m)) if (statement.trim()) await execute(url, statement);
};

test('the logins of the page', async () => {
  const page = await readFile(`${ROOT}docs/deployment.md`, 'utf8');
  const blocks = [...page.matchAll(/^ *```sql\n(.*?)^ *```$/gms)].map(([, sql = '']) => sql);
  const [administrator = '', owner = ''] = blocks.map((sql) => sql.replaceAll('…', 'secret'));
  expect(blocks).toHaveLength(2);
  await runAll(admin, administrator);
  await runAll(urlOf('scrip_owner', 'scrip'), owner);
  expect(await migrate(urlOf('scrip_owner', 'scrip'))).toContain('0001-baseline');
  const accounts = execute(urlOf('scrip_service', 'scrip'), 'select * from accounts');
  expect(await accounts).toEqual([]);
  // That of the archiver comes after the migration.
  const [archiver = ''] = codeOf('docs/archiving.md', 'sql');
  await runAll(urlOf('scrip_owner', 'scrip'), archiver.replace('…', 'secret'));
  for (const role of ['scrip_runtime', 'scrip_archiver'])
    await execute(urlOf('scrip_archive', 'scrip'), `set role ${role}`);
  await expect(execute(urlOf('scrip_service', 'scrip'), 'set role scrip_archiver')).rejects.toThrow(
    'permission denied',
  );
});

test.runIf(inject('hasGo'))('the owner of the cluster', async () => {
  const { initdb } = theOnly(resourcesOf(await render('cloudnative-pg')), 'Cluster').spec.bootstrap;
  await execute(admin, `create role ${initdb.owner} login password 'secret'`);
  await execute(admin, `create database ${initdb.database} owner ${initdb.owner}`);
  for (const sql of initdb.postInitApplicationSQL) await execute(admin, sql);
  const url = urlOf(initdb.owner, initdb.database);
  expect(await migrate(url)).toContain('0001-baseline');
  // As every session of the service does.
  await execute(url, 'set role scrip_runtime');
  // As the archiver, which works as the owner there.
  await execute(url, 'set role scrip_archiver');
});
