/** The machine and the versions that were measured. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { query } from './database.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Load average before the run; above 0.5 other processes disturb the figures. */
  readonly loadBefore: number;
};

export const machine = (): Machine => ({
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  cores: os.availableParallelism(),
  memoryGb: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  loadBefore: Number(os.loadavg()[0]?.toFixed(2)),
});

/** Versions of the software that was measured. */
export async function versions(databaseUrl: string): Promise<Readonly<Record<string, string>>> {
  const [row] = await query<{ server_version: string }>(databaseUrl, 'show server_version');
  const versionOf = (name: string): string =>
    JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8')).version;
  return {
    node: process.version.slice(1),
    postgresql: row?.server_version ?? 'unknown',
    '@grpc/grpc-js': versionOf('@grpc/grpc-js'),
    '@mikro-orm/postgresql': versionOf('@mikro-orm/postgresql'),
    pg: versionOf('pg'),
  };
}

/** The server's settings that decide durability. */
export async function durability(databaseUrl: string): Promise<Readonly<Record<string, string>>> {
  const rows = await query<{ name: string; setting: string }>(
    databaseUrl,
    `select name, setting from pg_settings
     where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method')`,
  );
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

/** The commit that was measured, with `+` if files have been changed since. */
export function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const changed = git('status', '--porcelain').trim() !== '';
    return `${git('rev-parse', '--short=12', 'HEAD').trim()}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
