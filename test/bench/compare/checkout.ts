/** The code of the other version: a folder as it is, or a git ref in a worktree of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../../', import.meta.url));

export type Checkout = {
  /** What the report calls it. */
  readonly label: string;
  readonly folder: string;
  /** Removes what was made for the comparison. */
  remove(): Promise<void>;
};

/** This checkout, changes that are not committed included. */
export const thisCheckout = (): Checkout => ({
  label: `this checkout, ${describe(root)}`,
  folder: root,
  remove: async () => {},
});

export async function checkoutOf(other: string): Promise<Checkout> {
  const folder = resolve(other);
  if (!existsSync(join(folder, 'package.json'))) return await worktreeOf(other);
  generate(folder);
  const label = `${basename(folder)}, ${describe(folder)}`;
  return { label, folder, remove: async () => {} };
}

/** It shares this checkout's node_modules if both have the same lock file. */
async function worktreeOf(ref: string): Promise<Checkout> {
  const commit = git(root, 'rev-parse', '--verify', '--short=12', `${ref}^{commit}`);
  const parent = await mkdtemp(join(tmpdir(), 'scrip-compare-'));
  const folder = join(parent, 'checkout');
  const remove = async () => {
    if (existsSync(folder)) git(root, 'worktree', 'remove', '--force', folder);
    await rm(parent, { recursive: true, force: true });
  };
  try {
    git(root, 'worktree', 'add', '--detach', folder, commit);
    const lockOf = (checkout: string) => readFileSync(join(checkout, 'package-lock.json'), 'utf8');
    if (lockOf(folder) === lockOf(root))
      symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    else run(folder, 'npm', 'ci', '--no-audit', '--no-fund');
    generate(folder);
    return { label: `${ref}, ${commit}`, folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

const generate = (folder: string) => run(folder, 'npm', 'run', '--silent', 'generate');

/** The commit; `+` behind it where files were changed since. */
function describe(folder: string): string {
  const changed = git(folder, 'status', '--porcelain') !== '';
  return `${git(folder, 'rev-parse', '--short=12', 'HEAD')}${changed ? '+' : ''}`;
}

const git = (cwd: string, ...args: string[]) => run(cwd, 'git', ...args).trim();

const run = (cwd: string, program: string, ...args: string[]): string =>
  execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
