/** `examples/rest-edge` as somebody installs it: in a folder of its own, as a process. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const root = new URL('../..', import.meta.url).pathname;
const run = promisify(execFile);
const EXAMPLE = 'examples/rest-edge';
const CLIENT = 'clients/typescript';

/** The Node of the service comes first. */
const path = [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter);

export class InstalledEdge {
  readonly #directory: string;
  #process: ChildProcess | undefined;
  /** Of the running process, such as http://127.0.0.1:8081. */
  url = '';

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** A copy with its dependencies, and the client package as it was built. */
  static async install(): Promise<InstalledEdge> {
    const directory = await mkdtemp(join(tmpdir(), 'scrip-edge-'));
    for (const file of ['package.json', 'README.md', 'dist'])
      await cp(join(root, CLIENT, file), join(directory, CLIENT, file), { recursive: true });
    const filter = (source: string) => !/node_modules|keys\.json/.test(source);
    await cp(join(root, EXAMPLE), join(directory, EXAMPLE), { recursive: true, filter });
    const edge = new InstalledEdge(directory);
    await edge.npm('ci');
    return edge;
  }

  get folder(): string {
    return join(this.#directory, EXAMPLE);
  }

  /** Runs npm in its folder; resolves to what it prints. */
  async npm(...args: readonly string[]): Promise<string> {
    const env = { ...process.env, PATH: path };
    const { stdout } = await run('npm', ['--silent', ...args], { cwd: this.folder, env });
    return stdout.trim();
  }

  /** Resolves when it listens. */
  async start(variables: Readonly<Record<string, string>>) {
    const env = { ...process.env, PATH: path, PORT: '0', ...variables };
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const child = spawn('node', ['src/main.ts'], { cwd: this.folder, env, stdio: [...stdio] });
    this.#process = child;
    this.url = await this.#logged(/Server listening at (http:\S+?)"/);
  }

  /** The first group of the next line of the log that matches. */
  async #logged(pattern: RegExp): Promise<string> {
    const { stdout } = this.#process ?? {};
    if (!stdout) throw new Error('it does not run');
    const lines = createInterface({ input: stdout });
    try {
      for await (const line of lines) {
        const [, group] = pattern.exec(line) ?? [];
        if (group !== undefined) return group;
      }
      throw new Error('the edge ended');
    } finally {
      lines.close();
      stdout.resume();
    }
  }

  /** Has it read its keys again; resolves when it did. */
  async readKeysAgain() {
    const read = this.#logged(/(read the keys again)/);
    this.#process?.kill('SIGHUP');
    await read;
  }

  /** Stops it; resolves to its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (!child) return null;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = await exited;
    this.#process = undefined;
    return code;
  }

  remove() {
    return rm(this.#directory, { recursive: true });
  }
}
