/** `npm run migrate`: brings the schema up to date. */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { beforeEach, expect, inject, test } from 'vitest';
import { snippet } from '../docs/snippets.ts';
import { createDatabase, execute } from '../postgres.ts';
import { end, migrate, startReplica } from './replica.ts';

/** Every migration there is, in the order of their numbers. */
const MIGRATED = `migrated: ${readdirSync(new URL('../../src/pg/migrations', import.meta.url))
  .map((file) => file.replace(/\.ts$/, ''))
  .toSorted()
  .join(', ')}\n`;

let databaseUrl: string;

beforeEach(async () => {
  const anyUrl = await createDatabase(inject('postgresUrl'));
  const name = `bare_${randomUUID().replaceAll('-', '')}`;
  await execute(anyUrl, `create database ${name}`);
  const url = new URL(anyUrl);
  url.pathname = `/${name}`;
  databaseUrl = url.href;
});

const run = async (env: Readonly<Record<string, string>>) => {
  const { code, stdout, stderr } = await migrate(env).ended;
  return { code, stdout, stderr };
};

test('on an empty database it prints the migrations it ran, the second time that there were none', async () => {
  const DATABASE_URL = databaseUrl;
  const ok = { code: 0, stderr: '' };
  expect(await run({ DATABASE_URL })).toEqual({ ...ok, stdout: MIGRATED });
  expect(await run({ DATABASE_URL })).toEqual({ ...ok, stdout: 'the schema is up to date\n' });
  const replica = await startReplica({ DATABASE_URL });
  try {
    expect((await replica.plans.listPlans({})).plans).toHaveLength(3);
  } finally {
    await end(replica);
  }
});

test('afterwards the service runs as a user who has only the role scrip_runtime', async () => {
  await migrate({ DATABASE_URL: databaseUrl }).ended;
  const user = `user_${randomUUID().replaceAll('-', '')}`;
  const asShown = snippet('docs/operations.md', 'create role scrip_service');
  const database = new URL(databaseUrl).pathname.slice(1);
  const statements = asShown
    .replace('scrip_service', user)
    .replace('…', 'x')
    .replace('database scrip ', `database ${database} `);
  await execute(databaseUrl, statements);
  const url = new URL(databaseUrl);
  url.username = user;
  url.password = 'x';
  const replica = await startReplica({ DATABASE_URL: url.href }, [], databaseUrl);
  try {
    const accountId = 'first';
    await replica.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
    await replica.billing.charge({ accountId, requestId: 'charge', credits: 5n });
    const { balance } = await replica.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 15n });
  } finally {
    await end(replica);
  }
});

test('of two concurrent runs one migrates and the other has nothing to do', async () => {
  const DATABASE_URL = databaseUrl;
  const runs = await Promise.all([run({ DATABASE_URL }), run({ DATABASE_URL })]);
  expect(runs.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
    { code: 0, stderr: '' },
    { code: 0, stderr: '' },
  ]);
  expect(runs.map(({ stdout }) => stdout).sort()).toEqual([MIGRATED, 'the schema is up to date\n']);
});

test('without a reachable database it prints one line', async () => {
  expect(await run({})).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^scrip: DATABASE_URL .*\n$/),
  });
  const unreachable = new URL(databaseUrl);
  unreachable.password = 'guess';
  expect(await run({ DATABASE_URL: unreachable.href })).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^scrip: .*password authentication failed.*\n$/),
  });
});
