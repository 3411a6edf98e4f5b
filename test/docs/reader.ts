/** Does what pages say, as their reader would: with files in a folder, a shell, and programs that stay running. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const root = new URL('../..', import.meta.url).pathname;
const run = promisify(execFile);

/** A command that stays running, such as that of the service: the page goes on in a second terminal. */
const START = /^npm( --prefix \S+)? start( -- --sandbox)?$/;
/** What the test runs in was installed before. */
const INSTALL = /^npm --prefix scrip ci$/m;

/** Of a program that a page starts. */
export type Started = {
  readonly env?: Readonly<Record<string, string>>;
  /** Its port, as the page names it. */
  readonly port?: number;
};

export class Reader {
  readonly #folder: string;
  readonly #programs: ChildProcess[] = [];
  /** The ports that are used in place of those of pages. */
  readonly #ports = new Map<number, number>();
  /** Where the second terminal is. */
  #directory: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#directory = folder;
  }

  /** A reader in a new folder, with the clone in `scrip`. */
  static async begin(): Promise<Reader> {
    const folder = await mkdtemp(join(tmpdir(), 'scrip-docs-'));
    await symlink(root, join(folder, 'scrip'));
    return new Reader(folder);
  }

  /** Where the service of the reader keeps its database, and where it is. */
  get #own() {
    return {
      DATA_DIRECTORY: join(this.#folder, 'data'),
      SCRIP_ADDRESS: this.#addressed('localhost:50051'),
    };
  }

  /** A port of pages, and a free one in its place. */
  async usePort(port: number) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#ports.set(port, (server.address() as AddressInfo).port);
    server.close();
    await once(server, 'close');
  }

  async write(file: string, content: string) {
    await writeFile(join(this.#directory, file), this.#addressed(content));
  }

  /** Runs commands; resolves to what they print. Those that stay running print nothing. */
  async run(script: string, started: Started = {}): Promise<string> {
    const lines = script.replace(INSTALL, '').trim().split('\n');
    const last = lines.at(-1) ?? '';
    if (!START.test(last)) return await this.#shell(lines.join('\n'));
    const output = lines.length > 1 ? await this.#shell(lines.slice(0, -1).join('\n')) : '';
    await this.#start(last, started);
    return output;
  }

  async #shell(script: string): Promise<string> {
    const [file, functions] = [join(this.#folder, 'directory'), join(this.#folder, 'functions')];
    // The next commands are in the same place and know the functions of these.
    const remembered = `pwd > '${file}'; declare -f > '${functions}'`;
    const whole = `touch '${functions}'; . '${functions}'\n${this.#addressed(script)}\n${remembered}`;
    const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', whole], {
      cwd: this.#directory,
      env: { ...environment(), ...this.#own },
    }).catch((error: { readonly stdout: string; readonly stderr: string }) => {
      throw new Error(`${script}\n${error.stdout}${error.stderr}`);
    });
    this.#directory = (await readFile(file, 'utf8')).trim();
    return stdout;
  }

  async #start(command: string, { env, port = 0 }: Started) {
    const free = this.#ports.get(port);
    if (free === undefined) throw new Error(`nothing is known of the port of ${command}`);
    const child = spawn('bash', ['--norc', '-c', `exec ${command}`], {
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
      env: { ...environment(), ...this.#own, ...env, PORT: String(free) },
    });
    this.#programs.push(child);
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${command} has ended`);
    });
    await Promise.race([untilListening(free), ended]);
    ended.catch(() => {});
  }

  #addressed(text: string): string {
    let addressed = text;
    for (const [port, free] of this.#ports)
      addressed = addressed.replaceAll(`localhost:${port}`, `127.0.0.1:${free}`);
    return addressed;
  }

  /** Stops what runs, and removes the folder. */
  async end() {
    for (const child of this.#programs) await stop(child);
    await rm(this.#folder, { recursive: true });
  }
}

/** Settings of npm and of the test runner, which the reader does not have. */
const OURS = /^(npm_|VITEST|NODE_ENV$|NODE_OPTIONS$)/;

/** The environment of the machine, with the Node of the service and none of the programs of this repository. */
function environment(): NodeJS.ProcessEnv {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const others = path.filter((folder) => !folder.includes('node_modules'));
  const node = join(root, 'node_modules/node/bin');
  const kept = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  return { ...Object.fromEntries(kept), PATH: [node, ...others].join(delimiter) };
}

async function untilListening(port: number) {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isConnected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isConnected) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Ends a program and those that it started. */
async function stop(child: ChildProcess) {
  if (child.exitCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid, 'SIGTERM');
  await exited;
}
