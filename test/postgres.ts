/**
 * One real PostgreSQL for the whole test run, and an own migrated database for each test file,
 * cloned from a template. The URL of a database is on the terminal when its test fails.
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

/** vitest's globalSetup: starts PostgreSQL and migrates the template. */
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

/** A new database with the schema in it. */
export async function createDatabase(postgresUrl: string): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  // Cloning fails while someone else clones; few test files start at once.
  for (let tries = 1; ; tries++)
    try {
      await execute(postgresUrl, `create database ${name} template ${TEMPLATE}`);
      return databaseUrl(postgresUrl, name);
    } catch (error) {
      if (tries === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
    }
}

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
