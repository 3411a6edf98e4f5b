/**
 * A production installation: what `npm pack` publishes, in an empty folder, with the production
 * dependencies that `npm ci --omit=dev` installs. Everything runs as an ordinary user, on the machine's
 * own Node.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Command, type Ended, startCommand } from './command.ts';

export const ROOT = new URL('../..', import.meta.url).pathname;

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

  /** Starts a command in the installation. */
  start([program = '', ...args]: readonly string[], env: Record<string, string> = {}): Command {
    const options = { ...USER, cwd: this.folder, env: { ...this.#environment, ...env } };
    return startCommand(program, args, options);
  }

  async run(command: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return await this.start(command, env).ended;
  }

  remove() {
    rmSync(this.#home, { recursive: true, force: true });
  }
}
