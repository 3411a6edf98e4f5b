/** Starts the servers that are measured, each in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProbeRequest, ServerUsage } from './probe.ts';

export type BenchServer = {
  readonly address: string;
  readonly pid: number;
  usage(): Promise<ServerUsage>;
  /** Runs `work` under the CPU profiler and writes the profile to a file. */
  profile<Result>(file: string, work: () => Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
};

export type Environment = Readonly<Record<string, string>>;
type Question = ProbeRequest extends infer One
  ? One extends unknown
    ? Omit<One, 'id'>
    : never
  : never;

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const root = path('../..');

/** Which version of the service is started, and how. */
export type Program = {
  /** The folder of a checkout. Default: this one. */
  readonly checkout?: string;
  /** Flags of Node instead of those of the checkout's `npm start`. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Environment;
};

/** Starts the build of the service, as it is deployed, on a migrated database and a free port. */
export const startService = (
  databaseUrl: string,
  { checkout = root, nodeFlags, env = {} }: Program = {},
): Promise<BenchServer> => {
  const own = {
    SCRIP_FROM: 'dist',
    DATABASE_URL: databaseUrl,
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
  };
  return start(startCommand(checkout, nodeFlags), { ...own, ...env }, checkout);
};

export const startEcho = (): Promise<BenchServer> => start([process.execPath, path('echo.ts')], {});

/** A collector that keeps nothing. */
export const startSink = (): Promise<BenchServer> =>
  start([process.execPath, path('otlp-sink.ts')], {});

export const startTextbook = (databaseUrl: string, pool: number): Promise<BenchServer> =>
  start([process.execPath, path('textbook.ts')], {
    DATABASE_URL: databaseUrl,
    DATABASE_POOL_MAX: String(pool),
  });

/** The script `start` of a checkout's package.json, without a shell around it. */
function startCommand(checkout: string, nodeFlags?: readonly string[]): readonly string[] {
  if (nodeFlags) return [process.execPath, ...nodeFlags, 'dist/main.js'];
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  return ['sh', '-c', `exec ${scripts.start.replace(/^exec /, '')}`];
}

async function start(
  command: readonly string[],
  env: Environment,
  cwd = root,
): Promise<BenchServer> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: `--import=${path('probe.ts')}`, ...env },
    cwd,
  });
  const port = await readyPort(child);
  const ask = askProbe(child);
  return {
    address: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    usage: async () => (await ask({ ask: 'usage' })) as ServerUsage,
    async profile(file, work) {
      await ask({ ask: 'start profile' });
      const result = await work();
      await ask({ ask: 'write profile', file });
      return result;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await gone;
      clearTimeout(killer);
    },
  };
}

/** The port in the log line `ready`. Rejects with the process's output if it ends before. */
function readyPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = '';
    let line = '';
    const keepOutput = (text: string) => {
      output = `${output}${text}`.slice(-4_000);
    };
    child.stderr?.setEncoding('utf8').on('data', keepOutput);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      keepOutput(text);
      line = `${line}${text}`;
      const ready = /"port":(\d+)[^\n]*"msg":"ready"|"msg":"ready"[^\n]*"port":(\d+)/.exec(line);
      line = line.slice(line.lastIndexOf('\n') + 1);
      if (ready) resolve(Number(ready[1] ?? ready[2]));
    });
    child.once('exit', (code) => reject(new Error(`a server ended with ${code}: ${output}`)));
  });
}

/** Sends questions to the probe in the server's process. */
function askProbe(child: ChildProcess) {
  type Answer = { id: number; answered?: ServerUsage | null; error?: string };
  const pending = new Map<number, (answer: Answer) => void>();
  let asked = 0;
  child.on('message', (answer: Answer) => pending.get(answer.id)?.(answer));
  return (question: Question): Promise<ServerUsage | null> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const id = asked;
      const lost = () => reject(new Error('a server ended while it was measured'));
      child.once('exit', lost);
      pending.set(id, ({ answered, error }) => {
        pending.delete(id);
        child.off('exit', lost);
        if (error) reject(new Error(error));
        else resolve(answered ?? null);
      });
      child.send({ id, ...question });
    });
}
