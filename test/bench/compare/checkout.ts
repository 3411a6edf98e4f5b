/**
 * Copies the code of the compared versions to temporary folders, so that files may be edited while a
 * comparison runs.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(new URL('../../..', import.meta.url)));

export type Checkout = {
  /** What the report calls it. */
  readonly label: string;
  readonly folder: string;
  remove(): Promise<void>;
};

/** This checkout, with changes that are not committed. */
export const thisCheckout = (): Promise<Checkout> => copyOfFolder(root);

/** The folder of a checkout, with changes that are not committed, or a git ref of this repository. */
export const checkoutOf = (other: string): Promise<Checkout> =>
  existsSync(join(other, 'package.json')) ? copyOfFolder(resolve(other)) : copyOfRef(other);

async function copyOfFolder(folder: string): Promise<Checkout> {
  const changed = git(folder, {}, 'status', '--porcelain') !== '';
  const commit = git(folder, {}, 'rev-parse', '--short=12', 'HEAD');
  return await copy(`${folder}, ${commit}${changed ? '+' : ''}`, folder, (temporary) => {
    const index = { GIT_INDEX_FILE: join(temporary, 'index') };
    git(folder, index, 'read-tree', 'HEAD');
    git(folder, index, 'add', '--all');
    return git(folder, index, 'write-tree');
  });
}

async function copyOfRef(ref: string): Promise<Checkout> {
  const commit = git(root, {}, 'rev-parse', '--verify', '--short=12', `${ref}^{commit}`);
  return await copy(`${ref}, ${commit}`, root, () => commit);
}

/** Copies a tree of `repository`, whose node_modules it shares if both have the same lock file. */
async function copy(
  label: string,
  repository: string,
  treeFor: (temporary: string) => string,
): Promise<Checkout> {
  const temporary = await mkdtemp(join(tmpdir(), 'scrip-compare-'));
  const folder = join(temporary, 'checkout');
  const remove = () => rm(temporary, { recursive: true, force: true });
  try {
    const archive = join(temporary, 'archive.tar');
    git(repository, {}, 'archive', `--output=${archive}`, treeFor(temporary));
    mkdirSync(folder);
    run(folder, {}, 'tar', '-xf', archive);
    const lockOf = (checkout: string) => readFileSync(join(checkout, 'package-lock.json'), 'utf8');
    if (lockOf(folder) === lockOf(repository))
      symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
    else run(folder, {}, 'npm', 'ci', '--no-audit', '--no-fund');
    run(folder, {}, 'npm', 'run', '--silent', 'build');
    return { label, folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

type Environment = Readonly<Record<string, string>>;

const git = (cwd: string, env: Environment, ...args: string[]) =>
  run(cwd, env, 'git', ...args).trim();

const run = (cwd: string, env: Environment, program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
