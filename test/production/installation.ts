/**
 * A production installation: what `npm pack` publishes, in an empty folder, with the production
 * dependencies that `npm ci --omit=dev` installs. Everything runs as an ordinary user, on the machine's
 * own Node.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;

/** `nobody`, where the tests run as root. */
const USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : null;

/** The environment without what `npm run` adds to it: its settings, and node_modules/.bin in PATH. */
function machineEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || /^npm_|^NODE_|^VITEST/.test(name) ? [] : [[name, value] as const],
  );
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const own = path.filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(entries), PATH: own.join(delimiter) };
}

export type Ran = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunningProgram = {
  /** Resolves with the first match in its output; rejects if it ends without one. */
  readonly waitFor: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly stop: () => Promise<Ran>;
};

export class Installation {
  readonly #home = mkdtempSync(join(tmpdir(), 'scrip-production-'));
  readonly folder = join(this.#home, 'scrip');
  readonly #environment = {
    ...machineEnvironment(),
    HOME: this.#home,
    npm_config_update_notifier: 'false',
  };

  constructor() {
    mkdirSync(this.folder);
    this.#unpack();
    chmodSync(this.#home, 0o755);
    if (USER) for (const path of [this.#home, this.folder]) chownSync(path, USER.uid, USER.gid);
  }

  /** The files of package.json's `files`, and the two of npm that `npm pack` leaves out. */
  #unpack() {
    const pack = ['pack', '--silent', '--pack-destination', this.#home];
    const packed = execFileSync('npm', pack, { cwd: ROOT, encoding: 'utf8' });
    const tarball = join(this.#home, packed.trim().split('\n').at(-1) ?? '');
    execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', this.folder]);
    for (const name of ['package-lock.json', '.npmrc'])
      cpSync(join(ROOT, name), join(this.folder, name));
  }

  async run(command: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
    return await this.#spawn(command, env).ended;
  }

  start(command: readonly string[], env: Record<string, string> = {}): RunningProgram {
    const { child, output, ended } = this.#spawn(command, env);
    return {
      waitFor: (pattern) =>
        new Promise((resolve, reject) => {
          const read = () => {
            const found = pattern.exec(output.stdout);
            if (found) resolve(found);
          };
          child.stdout.on('data', read);
          void ended.then(() => reject(new Error(`${output.stdout}${output.stderr}`)));
        }),
      async stop() {
        child.kill('SIGTERM');
        return await ended;
      },
    };
  }

  remove() {
    rmSync(this.#home, { recursive: true, force: true });
  }

  #spawn([program = '', ...args]: readonly string[], env: Record<string, string>) {
    const child = spawn(program, args, {
      ...USER,
      cwd: this.folder,
      env: { ...this.#environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    const ended = once(child, 'close').then(([code]): Ran => ({ code, ...output }));
    return { child, output, ended };
  }
}
