/** The last released version, in a folder of its own, as a process. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Command, startCommand } from '../production/command.ts';
import { ROOT } from './tools.ts';

const run = promisify(execFile);

const git = (...args: readonly string[]): string =>
  spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout.trim();

/**
 * The newest tag of a release. Before the first one, the oldest commit with the first schema as it is: whatever runs on
 * that has to run beside this version. Empty where the checkout has no history.
 */
export const releasedCommit = (): string =>
  git('describe', '--tags', '--abbrev=0', '--match', 'v*') ||
  git('log', '-1', '--format=%H', '--', 'src/pg/migrations/0001-baseline.ts');

export type Version = {
  /** Runs a program of it: see bin/run. */
  readonly start: (args: readonly string[], env: Readonly<Record<string, string>>) => Command;
  readonly remove: () => Promise<void>;
};

const inFolder = (folder: string): Version['start'] => {
  const own = (process.env['PATH'] ?? '').split(delimiter);
  const PATH = own.filter((each) => !each.includes('node_modules')).join(delimiter);
  return (args, env) =>
    startCommand('sh', ['bin/run', ...args], {
      cwd: folder,
      env: { PATH, HOME: process.env['HOME'] ?? '', ...env },
    });
};

export const thisVersion: Version = { start: inFolder(ROOT), remove: async () => {} };

/** Checks the commit out and installs its dependencies. */
export async function install(commit: string): Promise<Version> {
  const folder = await mkdtemp(join(tmpdir(), 'scrip-released-'));
  const archive = join(folder, 'archive.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: ROOT });
  await run('tar', ['xf', archive], { cwd: folder });
  await run('npm', ['ci', '--silent'], { cwd: folder });
  return {
    start: inFolder(folder),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
