/** What the doctor reads of real databases. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { type DatabaseFacts, readDatabase } from '../../src/doctor/read-database.ts';
import { readHost } from '../../src/doctor/read-host.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';
import { WELL } from './well.ts';

let databaseUrl: string;
/** Of a user who has the role of the service alone. */
let serviceUrl: string;
const users: string[] = [];

async function createUser(url: string, more = 'in role scrip_runtime'): Promise<string> {
  const name = `doctor_${randomUUID().replaceAll('-', '')}`;
  await execute(url, `create role ${name} login password 'x' ${more}`);
  users.push(name);
  const changed = new URL(url);
  changed.username = name;
  changed.password = 'x';
  return changed.href;
}

const userOf = (url: string): string => new URL(url).username;

beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(databaseUrl, await plansOfDeploy(), Date.now());
  serviceUrl = await createUser(databaseUrl);
});
afterAll(async () => {
  for (const user of users) {
    await execute(databaseUrl, `drop owned by ${user}`).catch(() => {});
    await execute(inject('postgresUrl'), `drop role ${user}`).catch(() => {});
  }
});

/** The problems of a database, whatever the server and the host are like. */
async function problemsOf(url: string): Promise<readonly string[]> {
  const facts: Facts = {
    ...(await readDatabase(url, false)),
    host: WELL.host,
    config: WELL.config,
  };
  const ofServer = new Set(['settings', 'durability', 'connections', 'vacuum', 'clock', 'TLS']);
  return diagnose(facts)
    .findings.filter(({ about, level }) => !ofServer.has(about) && level !== 'note')
    .map(({ level, about, problem }) => `${level} ${about}: ${problem}`);
}

test('a migrated database with plans has no problem for the user of the service', async () => {
  expect(await problemsOf(serviceUrl)).toEqual([]);
});

test('the facts are those of the database', async () => {
  const facts: DatabaseFacts = await readDatabase(serviceUrl, false);
  expect(facts.server.version).toBeGreaterThanOrEqual(150_000);
  expect(facts.server).toMatchObject({ isStandby: false, encoding: 'UTF8' });
  expect(facts.connection).toMatchObject({ isLocal: true, pooler: null });
  expect(facts.session).toMatchObject({
    settings: { ...WELL.config.sessionSettings, DateStyle: expect.stringMatching(/^ISO/) },
  });
  expect(facts.schema).toEqual({ missing: [], unknown: [], plans: 3, audit: null });
  expect(facts.vacuum.tables.map(({ name }) => name)).toContain('accounts');
  expect(facts.vacuum.tables.every(({ isVacuumOff }) => !isVacuumOff)).toBe(true);
  expect(facts.roles).toMatchObject({
    user: userOf(serviceUrl),
    isSuperuser: false,
    isOwner: false,
    runtime: { canLogin: false, powers: [], isGranted: true, unreadable: [], excess: [] },
  });
  // One machine has one clock; it is asked over a connection.
  expect(Math.abs(facts.clock.aheadMs)).toBeLessThan(1_000 + facts.clock.roundTripMs);
});

test('its session is the one that a pool of the service makes', async () => {
  await execute(databaseUrl, `alter role ${userOf(serviceUrl)} set idle_session_timeout = '5min'`);
  await execute(databaseUrl, `alter role ${userOf(serviceUrl)} set jit = on`);
  try {
    // The service sets jit itself.
    expect(await problemsOf(serviceUrl)).toEqual([
      expect.stringMatching(/^warning session: .*idle_session_timeout = 5min/),
    ]);
  } finally {
    await execute(databaseUrl, `alter role ${userOf(serviceUrl)} reset all`);
  }
});

test('an empty database lacks every migration', async () => {
  const problems = await problemsOf(await createEmptyDatabase(inject('postgresUrl')));
  expect(problems).toContainEqual(
    expect.stringMatching(/^error schema: the database lacks \d+ migration/),
  );
});

test('a migration that a newer version ran is unknown', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  await execute(url, `insert into schema_migrations (name) values ('9999-newer')`);
  expect(await problemsOf(url)).toContainEqual(
    expect.stringMatching(/^error schema: .*does not know \(9999-newer\)/),
  );
});

test('a user without the role cannot be the service', async () => {
  const problems = await problemsOf(await createUser(databaseUrl, ''));
  expect(problems).toEqual([
    expect.stringMatching(/^error session: the service cannot have a session: /),
    expect.stringMatching(/^error roles: doctor_\w+ does not have the role scrip_runtime/),
  ]);
});

test('privileges that the role should not have, and lacks, are named', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  await publishAt(url, await plansOfDeploy(), Date.now());
  await execute(url, 'grant update on entries to scrip_runtime');
  await execute(url, 'grant truncate on accounts to scrip_runtime');
  await execute(url, 'revoke select on grants from scrip_runtime');
  expect(await problemsOf(await createUser(url))).toEqual([
    expect.stringMatching(/^error roles: scrip_runtime may not read grants$/),
    expect.stringMatching(/^error roles: .*: truncate of accounts, update of entries$/),
  ]);
});

test('a table without autovacuum, an open transaction and an audit that found something are seen', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  await execute(url, 'alter table accounts set (autovacuum_enabled = off)');
  await execute(
    url,
    `insert into verify_runs values (gen_random_uuid(), clock_timestamp() - interval '1 hour', 0, 0, 3)`,
  );
  const facts = await readDatabase(url, false);
  expect(facts.vacuum.tables.filter(({ isVacuumOff }) => isVacuumOff)).toEqual([
    expect.objectContaining({ name: 'accounts' }),
  ]);
  expect(facts.schema.audit).toMatchObject({ discrepancies: 3 });
  expect(facts.schema.audit?.ageS).toBeGreaterThan(3_590);
});

test('it changes nothing: a user who may only read suffices', async () => {
  const url = new URL(serviceUrl);
  url.searchParams.set('options', '-c default_transaction_read_only=on');
  const facts = await readDatabase(url.href, false);
  expect(facts.schema.plans).toBe(3);
});

test('of this host it knows Node, limits, and the disks of folders that exist', async () => {
  const host = await readHost([import.meta.dirname, '/nowhere']);
  expect(host.node).toBe(Number(process.versions.node.split('.')[0]));
  expect(host.memoryBytes).toBeGreaterThan(1e8);
  expect(host.disks).toEqual([
    { path: import.meta.dirname, freeBytes: expect.any(Number), bytes: expect.any(Number) },
  ]);
  expect(host.disks[0]?.freeBytes).toBeLessThan(host.disks[0]?.bytes ?? 0);
});
