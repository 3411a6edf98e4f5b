/** The login of the service on the embedded database: what it can do, and what only the owner can. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.ts';
import { createServiceLogin } from '../../src/embedded-postgres/service-login.ts';
import { migrate } from '../../src/pg/migrate.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { execute } from '../postgres.ts';
import { end, type Replica, startPublished } from '../process/replica.ts';
import { plansOfDeploy } from '../service.ts';

let directory: string;
let postgres: EmbeddedPostgres;
let serviceUrl: string;
beforeAll(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'scrip-login-')), '.data');
  postgres = await startEmbeddedPostgres(directory);
  await migrate(postgres.url);
  serviceUrl = await createServiceLogin(postgres.url);
});
afterAll(async () => {
  await postgres.stop();
  await rm(join(directory, '..'), { recursive: true });
});

const as = (url: string, sql: string) => execute(url, sql);
const codeOf = (sql: string): Promise<unknown> =>
  as(serviceUrl, sql).then(
    () => 'allowed',
    (error: { code: unknown }) => error.code,
  );

const DENIED = '42501';

describe('the login of the service', () => {
  test('is a role of its own with a password of its own', async () => {
    const [url, owner] = [new URL(serviceUrl), new URL(postgres.url)];
    expect(url.username).toBe('scrip_service');
    expect(url.password).not.toBe(owner.password);
    expect(url.host + url.pathname).toBe(owner.host + owner.pathname);
    const [row] = await as(
      postgres.url,
      `select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
         (select array_agg(roleid::regrole::text) from pg_auth_members where member = r.oid) as roles
       from pg_roles r where rolname = 'scrip_service'`,
    );
    expect(row).toEqual({
      rolsuper: false,
      rolcreatedb: false,
      rolcreaterole: false,
      rolreplication: false,
      rolbypassrls: false,
      roles: ['scrip_runtime'],
    });
  });

  test('reads entries and inserts them', async () => {
    expect(await codeOf('select count(*) from entries')).toBe('allowed');
    expect(await codeOf('insert into entries select * from entries where false')).toBe('allowed');
  });

  test.each([
    ['change an entry', `update entries set caller = 'x'`],
    ['delete entries', 'delete from entries'],
    ['empty a table', 'truncate entries'],
    ['drop a table', 'drop table entries'],
    ['create a table', 'create table mine (x int)'],
    ['create a temporary table', 'create temporary table mine (x int)'],
    ['create a schema', 'create schema mine'],
    ['create a function', `create function f() returns int language sql as 'select 1'`],
    ['create a database', 'create database mine'],
    ['create a role', 'create role mine'],
    ['publish a price', `update rate_cards set content = '{}'`],
    ['accept a clock', 'insert into clock_acceptances select * from clock_acceptances'],
    ['make itself superuser', 'alter role scrip_service superuser'],
    ['give itself another role', 'grant pg_write_all_data to scrip_service'],
    ['become the owner', 'set role postgres'],
    ['change the password of the owner', `alter role postgres password 'x'`],
    ['read passwords', 'select rolpassword from pg_authid'],
    ['read files of the server', `select pg_read_file('postgresql.conf')`],
    ['run programs on the server', `copy (select 1) to program 'cat'`],
    ['change settings of the server', 'alter system set log_statement = "all"'],
    ['run functions of administrators', 'select pg_reload_conf()'],
  ])('cannot %s', async (_, sql) => {
    expect(await codeOf(sql)).toBe(DENIED);
  });

  test('needs its password', async () => {
    for (const password of ['guess', new URL(postgres.url).password]) {
      const url = Object.assign(new URL(serviceUrl), { password }).href;
      await expect(as(url, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    }
  });

  test('is the same for every process, also where many make it at once', async () => {
    await as(postgres.url, 'drop owned by scrip_service');
    await as(postgres.url, 'drop role scrip_service');
    const urls = await Promise.all(
      Array.from({ length: 12 }, () => createServiceLogin(postgres.url)),
    );
    expect(new Set(urls)).toEqual(new Set([serviceUrl]));
    expect(await codeOf('select count(*) from entries')).toBe('allowed');
  });
});

test('plans are published by the owner, and not by the service', async () => {
  const plans = await plansOfDeploy();
  await expect(publishAt(serviceUrl, plans, Date.now())).rejects.toThrow('permission denied');
  await publishAt(postgres.url, plans, Date.now());
});

test('migrations run as the owner, and not as the service', async () => {
  await as(postgres.url, 'create database other');
  const at = (url: string) => Object.assign(new URL(url), { pathname: '/other' }).href;
  await expect(migrate(at(serviceUrl))).rejects.toThrow('permission denied');
  expect(await migrate(at(postgres.url))).not.toEqual([]);
});

test('two processes on one embedded database work with the login, and hold no session of the owner', async () => {
  const replicas: Replica[] = [];
  try {
    for (const _ of [1, 2]) replicas.push(await startPublished({ DATA_DIRECTORY: directory }));
    const [one, other] = replicas as [Replica, Replica];
    const accountId = 'shared';
    await one.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
    await other.billing.charge({ accountId, requestId: 'charge', credits: 1n });
    const sessions = await as(
      postgres.url,
      `select distinct usename::text as user from pg_stat_activity
       where application_name like 'scrip%' and pid <> pg_backend_pid()`,
    );
    expect(sessions).toEqual([{ user: 'scrip_service' }]);
    for (const replica of replicas)
      expect(await replica.signal('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
  } finally {
    await Promise.all(replicas.map(end));
  }
});
