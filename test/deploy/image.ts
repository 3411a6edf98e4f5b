/**
 * The steps of deploy/Dockerfile in plain folders, by an ordinary user: what BuildKit's parser reads of it is run with
 * the Node and npm of this machine in place of the build image's. A folder per stage stands for the stage's root.
 */
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, cpSync, globSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Command, startCommand } from '../production/command.ts';
import { ROOT, readByTool } from './tools.ts';

type Step = {
  readonly name: string;
  readonly words?: readonly string[];
  readonly from?: string;
  readonly sources?: readonly string[];
  readonly target?: string;
  readonly owner?: string;
  readonly variables?: Readonly<Record<string, string>>;
};

export type Dockerfile = {
  readonly context: readonly string[];
  readonly args: Readonly<Record<string, string>>;
  readonly stages: readonly {
    readonly name: string;
    readonly base: string;
    readonly steps: readonly Step[];
  }[];
};

const USER_OF_IMAGE = '65532:65532';
/** That of the image, where the tests run as root. */
const USER = process.getuid?.() === 0 ? { uid: 65_532, gid: 65_532 } : null;

export const readDockerfile = (): Promise<Dockerfile> =>
  readByTool(['dockerfile', 'deploy/Dockerfile', '.']);

export class Image {
  readonly #home = mkdtempSync(join(tmpdir(), 'scrip-image-'));
  readonly #dockerfile: Dockerfile;
  #root = '';
  #folder = '/';
  #words: Record<string, readonly string[]> = {};
  /** Folders that are the user's own. */
  #owned: string[] = [];
  #variables: Record<string, string> = {};

  constructor(dockerfile: Dockerfile) {
    this.#dockerfile = dockerfile;
  }

  async build() {
    chmodSync(this.#home, 0o755);
    if (USER) chownSync(this.#home, USER.uid, USER.gid);
    for (const { name, steps } of this.#dockerfile.stages) {
      this.#root = join(this.#home, name || 'image');
      this.#folder = '/';
      this.#words = {};
      this.#owned = [];
      this.#variables = {};
      mkdirSync(this.#root);
      for (const step of steps) await this.#do(step);
    }
    makeReadOnly(this.#root);
    for (const folder of this.#owned) this.#giveToUser(folder);
  }

  async #do({ name, words = [], from, sources = [], target = '', owner, variables = {} }: Step) {
    switch (name.toUpperCase()) {
      case 'WORKDIR':
        this.#folder = words[0] ?? '/';
        this.#make(this.#folder);
        break;
      case 'ENV':
        Object.assign(this.#variables, variables);
        break;
      case 'RUN':
        await this.#run(words.join(' '));
        break;
      case 'COPY':
        for (const source of sources)
          if (from) this.#copy(join(this.#home, from, source), target);
          else this.#copyOfContext(source, target, sources.length > 1);
        if (owner === USER_OF_IMAGE) this.#owned.push(target);
        else if (owner) throw new Error(`the replay does not know ${owner}`);
        break;
      default:
        this.#words[name.toUpperCase()] = words;
    }
  }

  #path = (path: string): string =>
    join(this.#root, path.startsWith('/') ? '' : this.#folder, path);

  #make(folder: string) {
    mkdirSync(this.#path(folder), { recursive: true });
    if (USER) chownSync(this.#path(folder), USER.uid, USER.gid);
  }

  #giveToUser(folder: string) {
    const root = this.#path(folder);
    for (const name of ['.', ...globSync('**', { cwd: root })]) {
      const path = join(root, name);
      if (USER) chownSync(path, USER.uid, USER.gid);
      chmodSync(path, lstatSync(path).mode | 0o200);
    }
  }

  async #run(script: string) {
    const env = { ...machineEnvironment(), HOME: this.#home, npm_config_update_notifier: 'false' };
    const options = { ...USER, cwd: this.#path('.'), env, maxBuffer: 10_000_000 };
    await promisify(execFile)('sh', ['-c', script], options);
  }

  #copy(source: string, target: string) {
    mkdirSync(dirname(this.#path(target)), { recursive: true });
    cpSync(source, this.#path(target), { recursive: true, verbatimSymlinks: true });
  }

  /** A file, or all that is visible in a folder. */
  #copyOfContext(source: string, target: string, isOneOfSeveral: boolean) {
    const files = this.#dockerfile.context.filter(
      (file) => file === source || file.startsWith(`${source}/`),
    );
    if (files.length === 0) throw new Error(`.dockerignore hides ${source}`);
    for (const file of files) {
      const isFile = file === source;
      const inTarget = isFile ? basename(file) : file.slice(source.length + 1);
      const isInFolder = !isFile || isOneOfSeveral || target.endsWith('/');
      const path = this.#path(isInFolder ? join(target, inTarget) : target);
      mkdirSync(dirname(path), { recursive: true });
      cpSync(join(ROOT, file), path);
      if (USER) for (const made of [path, dirname(path)]) chownSync(made, USER.uid, USER.gid);
    }
  }

  get home(): string {
    return this.#home;
  }

  /** The file that the image has at this path. */
  file = (path: string): string => join(this.#root, path);

  get user(): string {
    return this.#words['USER']?.[0] ?? '';
  }

  /** Runs the image as `docker run` does; without arguments with those of CMD. */
  start(
    args: readonly string[] = this.#words['CMD'] ?? [],
    env: Record<string, string> = {},
  ): Command {
    return this.#start([...(this.#words['ENTRYPOINT'] ?? []), ...args], env);
  }

  /** Runs its HEALTHCHECK. */
  probe(env: Record<string, string> = {}): Command {
    const [how, ...words] = this.#words['HEALTHCHECK'] ?? [];
    if (how !== 'CMD') throw new Error('HEALTHCHECK needs a shell, which the image lacks');
    return this.#start(words, env);
  }

  #start([program = '', ...args]: readonly string[], env: Record<string, string>): Command {
    return startCommand(this.#path(program), args, {
      ...USER,
      cwd: this.#path('.'),
      // Nothing of this machine. Neither folder can be written to.
      env: { HOME: this.#root, TMPDIR: this.#root, ...this.#variables, ...env },
    });
  }

  async remove() {
    await rm(this.#home, { recursive: true, force: true });
  }
}

/** The environment without what `npm run` adds to it. */
function machineEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || /^npm_|^NODE_|^VITEST/.test(name) ? [] : [[name, value] as const],
  );
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const own = path.filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(entries), PATH: own.join(delimiter) };
}

/** Nobody but root can write to it, as in a container with `--read-only`. */
function makeReadOnly(root: string) {
  for (const name of ['.', ...globSync('**', { cwd: root })]) {
    const path = join(root, name);
    const file = lstatSync(path);
    if (file.isSymbolicLink()) continue;
    if (USER) chownSync(path, 0, 0);
    chmodSync(path, file.mode & 0o555);
  }
}
