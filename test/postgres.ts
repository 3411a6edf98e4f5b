/**
 * One embedded PostgreSQL for the whole test run, and for each test file a migrated database of its own, cloned
 * from a template. When a test of the service fails, the terminal shows the URL of its database.
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
  }
}

/** The globalSetup of vitest: starts PostgreSQL and migrates the template. */
export default async function setup(project: TestProject) {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-test-'));
  const postgres = await startEmbeddedPostgres(directory);
  await execute(postgres.url, `create database ${TEMPLATE}`);
  await migrate(databaseUrl(postgres.url, TEMPLATE));
  project.provide('postgresUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

/** PostgreSQL clones a template for one session at a time. */
const CLONE_LOCK = 1;

/** A new database with the schema in it. */
export async function createDatabase(postgresUrl: string): Promise<string> {
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

/** A new database without any table. */
export async function createEmptyDatabase(postgresUrl: string): Promise<string> {
  const name = `empty_${randomUUID().replaceAll('-', '')}`;
  await execute(postgresUrl, `create database ${name}`);
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

function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
