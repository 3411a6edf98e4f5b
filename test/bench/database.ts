/** The PostgreSQL of a run. Every server that is measured has a database of its own in it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.ts';
import { migrate } from '../../src/pg/migrate.ts';

export type Database = {
  /** URL of the migrated database that others are cloned from. */
  readonly template: string;
  /** pid of the postmaster. */
  readonly pid: number;
  /** An empty database; its URL. */
  create(name: string): Promise<string>;
  /** Copies the template as it is now, to which nobody may be connected; answers the copy's URL. */
  clone(name: string): Promise<string>;
  drop(name: string): Promise<void>;
  stop(): Promise<void>;
};

/** PostgreSQL's settings by name. */
export type Settings = Readonly<Record<string, string>>;

/** `settings` are those beyond the embedded PostgreSQL's own. */
export async function startDatabase(settings: Settings = {}): Promise<Database> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-bench-'));
  const postgres = await startWith(directory, settings);
  const urlOf = (name: string) =>
    Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href;
  const admin = urlOf('postgres');
  await migrate(postgres.url);
  const [row] = await query<{ pid: string }>(
    admin,
    `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid`,
  );
  return {
    template: postgres.url,
    pid: Number(row?.pid),
    async create(name) {
      await query(admin, `create database ${name}`);
      return urlOf(name);
    },
    async clone(name) {
      await query(admin, `create database ${name} template scrip`);
      return urlOf(name);
    },
    async drop(name) {
      await query(admin, `drop database ${name} with (force)`);
    },
    async stop() {
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Some settings are read at the start only. */
async function startWith(directory: string, settings: Settings): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(directory);
  if (Object.keys(settings).length === 0) return postgres;
  for (const [name, value] of Object.entries(settings))
    await query(postgres.url, `alter system set ${name} = '${value}'`);
  await postgres.stop();
  return await startEmbeddedPostgres(directory);
}

export async function query<Row>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
