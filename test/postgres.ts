/**
 * One PostgreSQL for the whole test run, and for each test file a migrated database of its own, cloned from a
 * template. It is the embedded one, or that of TEST_POSTGRES_URL, which `npm run test:postgres` sets. When a test of
 * the service fails, the terminal shows the URL of its database.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../src/embedded-postgres/embedded-postgres.ts';
import { migrate } from '../src/pg/migrate.ts';

const TEMPLATE = 'scrip_template';

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string;
    /** Where a pooler listens, and its login for the service; null if services connect directly. */
    poolerUrl: string | null;
  }
}

/** The globalSetup of vitest: starts PostgreSQL and migrates the template. */
export default async function setup(project: TestProject) {
  project.provide('poolerUrl', process.env['TEST_POOLER_URL'] ?? null);
  const given = process.env['TEST_POSTGRES_URL'];
  if (given) {
    await provide(project, given);
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'scrip-test-'));
  const postgres = await startEmbeddedPostgres(directory);
  await provide(project, postgres.url);
  return async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

async function provide(project: TestProject, url: string) {
  await execute(url, `create database ${TEMPLATE}`);
  await migrate(databaseUrl(url, TEMPLATE));
  project.provide('postgresUrl', url);
}

/** PostgreSQL clones a template for one session at a time. */
const CLONE_LOCK = 1;

/** A new database with the schema in it; a new cell of the cluster, where `npm run test:citus` names one. */
export async function createDatabase(postgresUrl: string): Promise<string> {
  const cluster = process.env['TEST_CELLS_OF'];
  if (cluster) return await (await import('./citus/cluster.ts')).createCell(cluster);
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client(postgresUrl);
  await client.connect();
  try {
    await client.query(`select pg_advisory_lock(${CLONE_LOCK})`);
    await client.query(`create database ${name} template ${TEMPLATE}`);
    return databaseUrl(postgresUrl, name);
  } finally {
    await client.end();
  }
}

/** A new database without any table. `options` are those of CREATE DATABASE. */
export async function createEmptyDatabase(postgresUrl: string, options = ''): Promise<string> {
  const name = `empty_${randomUUID().replaceAll('-', '')}`;
  await execute(postgresUrl, `create database ${name} ${options}`);
  return databaseUrl(postgresUrl, name);
}

/** Runs SQL in a session of its own and returns the rows. */
export async function execute(url: string, sql: string, parameters: unknown[] = []) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query(sql, parameters);
    return rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/** The URL by which a service uses a database: that of the pooler, where the test run has one. */
export function urlOfService(url: string, poolerUrl: string | null): string {
  return poolerUrl ? databaseUrl(poolerUrl, new URL(url).pathname.slice(1)) : url;
}

/** The URL with these options of a session; others that it has are replaced. */
export function withOptions(url: string, options: string): string {
  const changed = new URL(url);
  changed.searchParams.set('options', options);
  return changed.href;
}

function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
