/**
 * A service that cannot start prints one line for each mistake of the operator, and leaves nothing
 * running. The processes only read, so the tests run concurrently.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readPostmaster } from '../../src/embedded-postgres/postmaster.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { createDatabase, execute } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';
import { startService } from './replica.ts';

let directory: string;
/** Migrated; nothing was published in it. */
let databaseUrl: string;
/** With the plans of deploy/. */
let publishedUrl: string;
let emptyUrl: string;
/** Another program that listens. */
let neighbour: Server;
let takenPort: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-refusals-'));
  databaseUrl = await createDatabase(inject('postgresUrl'));
  publishedUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(publishedUrl, await plansOfDeploy(), Date.now());
  const name = `empty_${process.pid}`;
  await execute(databaseUrl, `create database ${name}`);
  emptyUrl = changed(databaseUrl, (url) => {
    url.pathname = `/${name}`;
  });
  neighbour = createServer().listen(0, '127.0.0.1');
  await once(neighbour, 'listening');
  takenPort = (neighbour.address() as AddressInfo).port;
});
afterAll(async () => {
  neighbour.close();
  await rm(directory, { recursive: true, force: true });
});

function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url);
  change(copy);
  return copy.href;
}

/** What it says of the port, and how to choose another. */
const taken = (variable: string): string =>
  `port ${takenPort} of 127.0.0.1 is taken, by another service perhaps; choose another with ` +
  `${variable}=${takenPort < 65_535 ? takenPort + 1 : takenPort - 1}, or a free one with ${variable}=0`;

/** Starts the service, which must refuse, and returns its lines without their prefix. */
async function refusal(env: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { code, stdout, stderr } = await startService(env).ended;
  expect(code, stderr).toBe(1);
  expect(stdout).not.toContain('ready');
  const lines = stderr.trimEnd().split('\n');
  expect(lines.filter((line) => !line.startsWith('scrip: '))).toEqual([]);
  return lines.map((line) => line.slice('scrip: '.length));
}

describe.concurrent('a service that cannot start prints in one line', () => {
  test('that the port is taken', async ({ expect }) => {
    const lines = await refusal({ DATABASE_URL: publishedUrl, PORT: String(takenPort) });
    expect(lines).toEqual([taken('PORT')]);
  });

  test('that ports are taken, before it starts anything', async ({ expect }) => {
    const DATA_DIRECTORY = join(directory, 'unstarted');
    const port = String(takenPort);
    const lines = await refusal({ DATA_DIRECTORY, PORT: port, ADMIN_PORT: port });
    expect(lines).toEqual([taken('PORT'), taken('ADMIN_PORT')]);
    expect(existsSync(DATA_DIRECTORY)).toBe(false);
  });

  test('that it cannot listen, and stops the PostgreSQL it had started', async ({ expect }) => {
    const DATA_DIRECTORY = join(directory, 'embedded');
    // An address that no machine has.
    const lines = await refusal({ DATA_DIRECTORY, ADMIN_HOST: '203.0.113.1' });
    expect(lines).toEqual([expect.stringMatching(/^cannot listen on .*EADDRNOTAVAIL/)]);
    expect(await readPostmaster(join(DATA_DIRECTORY, 'postgres'))).toBeUndefined();
  });

  test('that the port for webhooks is taken', async ({ expect }) => {
    const lines = await refusal({
      DATABASE_URL: publishedUrl,
      STRIPE_SECRET_KEY: 'sk_test_1',
      STRIPE_WEBHOOK_SECRET: 'whsec_1',
      STRIPE_WEBHOOK_PORT: String(takenPort),
    });
    expect(lines).toEqual([taken('STRIPE_WEBHOOK_PORT')]);
  });

  test('that the port for metrics and probes is taken', async ({ expect }) => {
    const lines = await refusal({ DATABASE_URL: publishedUrl, ADMIN_PORT: String(takenPort) });
    expect(lines).toEqual([taken('ADMIN_PORT')]);
  });

  test('that nobody listens at DATABASE_URL', async ({ expect }) => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    const lines = await refusal({ DATABASE_URL: `postgres://nobody:secret@127.0.0.1:${port}/x` });
    expect(lines).toEqual([expect.stringMatching(/DATABASE_URL.*ECONNREFUSED/)]);
    expect(lines[0]).not.toContain('secret');
  });

  test('that the host of DATABASE_URL does not exist', async ({ expect }) => {
    const lines = await refusal({ DATABASE_URL: 'postgres://nobody:secret@db.invalid:5432/x' });
    expect(lines).toEqual([expect.stringMatching(/DATABASE_URL.*db\.invalid/)]);
    expect(lines[0]).not.toContain('secret');
  });

  test('that the database is not migrated, and how to do it', async ({ expect }) => {
    const lines = await refusal({ DATABASE_URL: emptyUrl });
    expect(lines).toEqual([expect.stringMatching(/0001-baseline.*npm run migrate/)]);
    // The check changes nothing: the service may lack the right to.
    const tables = `select table_name from information_schema.tables where table_schema = 'public'`;
    expect(await execute(emptyUrl, tables)).toEqual([]);
  });

  test('that the password of DATABASE_URL is wrong', async ({ expect }) => {
    const url = changed(databaseUrl, (copy) => {
      copy.password = 'guess';
    });
    const lines = await refusal({ DATABASE_URL: url });
    expect(lines).toEqual([expect.stringMatching(/DATABASE_URL.*password authentication failed/)]);
    expect(lines[0]).not.toContain('guess');
  });

  test('that the database of DATABASE_URL does not exist', async ({ expect }) => {
    const url = changed(databaseUrl, (copy) => {
      copy.pathname = '/nowhere';
    });
    const lines = await refusal({ DATABASE_URL: url });
    expect(lines).toEqual([expect.stringMatching(/DATABASE_URL.*"nowhere" does not exist/)]);
    // The service does not create it: the name may be mistyped.
    const databases = `select datname from pg_database where datname = 'nowhere'`;
    expect(await execute(databaseUrl, databases)).toEqual([]);
  });

  test('that nothing was ever published in the database, and how to do it', async ({ expect }) => {
    const lines = await refusal({ DATABASE_URL: databaseUrl });
    expect(lines).toEqual([expect.stringMatching(/no plan is published.*plans publish/)]);
    // The start published nothing either.
    expect(await execute(databaseUrl, 'select plan_id from plans')).toEqual([]);
  });

  test('that there is no plan file for the embedded database', async ({ expect }) => {
    const PLANS_DIRECTORY = join(directory, 'no-plans');
    const lines = await refusal({ PLANS_DIRECTORY, DATA_DIRECTORY: join(directory, 'unused') });
    expect(lines).toEqual([expect.stringContaining(`${PLANS_DIRECTORY}: cannot be read`)]);
  });
});

describe.concurrent('a service with several mistakes lists', () => {
  test('every mistake of every plan file, with file, path and reason', async ({ expect }) => {
    const PLANS_DIRECTORY = join(directory, 'plans');
    await mkdir(PLANS_DIRECTORY);
    const deployed = new URL('../../deploy/plans/verts.yaml', import.meta.url).pathname;
    await cp(deployed, join(PLANS_DIRECTORY, 'a-good.yaml'));
    const broken = (planId: string, credits: string) => `
plan_id: ${planId}
title: Broken
terms: { low_balance_treshold: 5 }
packs: []
operations:
  job:
    title: Job
    billable: true
    components:
      - { kind: flat, label: Job, credits: ${credits} }
`;
    const files = ['b-broken.yaml', 'c-broken.yml'].map((name) => join(PLANS_DIRECTORY, name));
    await writeFile(files[0] ?? '', broken('b', '-1'));
    await writeFile(files[1] ?? '', broken('c', '1.5'));

    const lines = await refusal({ PLANS_DIRECTORY, DATA_DIRECTORY: join(directory, 'unused') });
    expect(lines).toHaveLength(4);
    for (const file of files) {
      const ofFile = lines.filter((line) => line.startsWith(`${file}: `));
      expect(ofFile).toContainEqual(expect.stringMatching(/: terms.*low_balance_treshold/));
      expect(ofFile).toContainEqual(expect.stringMatching(/: operations\.job\.components\[0\]/));
    }
  });

  test('every invalid variable', async ({ expect }) => {
    const lines = await refusal({
      PORT: '70000',
      LANES: 'many',
      REFLECTION: 'yes',
      LOG_LEVEL: 'loud',
      DATABASE_URL: 'mysql://root:secret@db/scrip',
    });
    expect([...lines].sort()).toEqual([
      'DATABASE_URL must be a postgres:// URL',
      'LANES must be a whole number, 1 to 64',
      'LOG_LEVEL must be fatal, error, warn, info, debug, trace or silent',
      'PORT must be a whole number, 0 to 65535',
      'REFLECTION must be true or false',
    ]);
  });
});
