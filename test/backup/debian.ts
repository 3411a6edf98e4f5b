/** Debian's PostgreSQL, and the commands of docs/backup.md. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { promisify } from 'node:util';

const VERSIONS = '/usr/lib/postgresql';
const root = new URL('../..', import.meta.url).pathname;

/** The folder of the programs of the newest installed version that the service supports; null if there is none. */
export function debianPrograms(): string | null {
  if (!existsSync(VERSIONS)) return null;
  const [newest] = readdirSync(VERSIONS)
    .map(Number)
    .filter((version) => version >= 15 && existsSync(`${VERSIONS}/${version}/bin/initdb`))
    .sort((a, b) => b - a);
  return newest === undefined ? null : `${VERSIONS}/${newest}/bin`;
}

/** One block of commands, and the section that it is in. */
export type Block = { readonly section: string; readonly where: string; readonly script: string };

/** The blocks in the order of the page. Their first line says where they run. */
export function commandsOf(page: string): readonly Block[] {
  const markdown = readFileSync(`${root}docs/${page}`, 'utf8');
  const found = markdown.matchAll(/^## ([^\n]*)$|^```sh\n(?:# ([^\n]*)\n)?(.*?)^```$/gms);
  const blocks: Block[] = [];
  let section = '';
  for (const [, heading, where = '', script] of found)
    if (heading !== undefined) section = heading;
    else if (script !== undefined) blocks.push({ section, where, script });
  return blocks;
}

export type Environment = Readonly<Record<string, string>>;

/** Runs commands as the user postgres where they are those of the database server; resolves with their output. */
export async function runBlock({ where, script }: Block, env: Environment): Promise<string> {
  const shell = ['bash', '-euo', 'pipefail', '-c', script];
  const asPostgres = where === 'database server' && process.getuid?.() === 0;
  const [program = '', ...args] = asPostgres
    ? ['runuser', '-u', 'postgres', '--', ...shell]
    : shell;
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      // A server that keeps the output of its start open would never let it end.
      timeout: 120_000,
      cwd: where === 'checkout' ? root : '/',
      env: { PATH: path, ...env },
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${script}\n${stdout}\n${stderr}`, { cause: error });
  }
}
