/** Starts the servers that are measured, each in a process of its own: the service as `npm start` does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import type { ServerUsage, UsagesOrCredits } from './probe.ts';

export type BenchServer = {
  readonly address: string;
  readonly pid: number;
  usage(): Promise<ServerUsage>;
  /** Runs `work` under the CPU profiler and writes the profile. */
  profile<Result>(file: string, work: () => Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
};

type Environment = Readonly<Record<string, string>>;
type Ask = UsagesOrCredits extends infer One
  ? One extends unknown
    ? Omit<One, 'id'>
    : never
  : never;

/**
 * The flags and files of `npm start`, where package.json cannot say why they are: what a unit of work
 * makes is garbage a moment later, and left to itself Node lets it pile up. Under a mixed load 330 MB
 * and more are resident with its defaults, 280 MB at most with these. A smaller young generation saves
 * more memory and costs more time: with 4 MB a reserve in a batch takes 216 µs of CPU, with 24 MB 118.
 * Left to itself it also shrinks whenever there is little to do, and grows back late: kept at its size
 * it takes a reserve from 380 µs to 297 (nine rounds of 3 s, each after a pause). That was at 24 MB, of
 * which a soak made 293 MB resident; 22 leave a little more room below 300. Not every number is taken
 * as it is: V8 makes 32 MB of 20 (v8.getHeapSpaceStatistics says which).
 * The old generation grows by 30 % before it is collected. A soak came to 290 MB when that was 40, at 1,010
 * jobs/s. It cost time while closed calls grew old (see closed-call.ts); since they do not, a reserve takes
 * 96 µs of CPU with 28 and 104 with 40, at 273 MB and at 300.
 */
const [, ...START] = packageJson.scripts.start.split(' ');

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const startService = (databaseUrl: string, env: Environment = {}): Promise<BenchServer> =>
  start(START, { DATABASE_URL: databaseUrl, HOST: '127.0.0.1', PORT: '0', ...env });

export const startEcho = (): Promise<BenchServer> => start([path('echo.ts')], {});

export const startTextbook = (databaseUrl: string, pool: number): Promise<BenchServer> =>
  start([path('textbook.ts')], { DATABASE_URL: databaseUrl, DATABASE_POOL_MAX: String(pool) });

async function start(program: readonly string[], env: Environment): Promise<BenchServer> {
  const child = spawn(process.execPath, ['--import', path('probe.ts'), ...program], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...env },
    cwd: path('../..'),
  });
  const port = await readyPort(child);
  const ask = asker(child);
  return {
    address: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    usage: async () => (await ask({ ask: 'usage' })) as ServerUsage,
    async profile(file, work) {
      await ask({ ask: 'profile' });
      const result = await work();
      await ask({ ask: 'profiled', file });
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

/** The port in the line of JSON that says `ready`; or what the process died of. */
function readyPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    let line = '';
    const keep = (text: string) => {
      said = `${said}${text}`.slice(-4_000);
    };
    child.stderr?.setEncoding('utf8').on('data', keep);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      keep(text);
      line = `${line}${text}`;
      const ready = /"port":(\d+)[^\n]*"msg":"ready"|"msg":"ready"[^\n]*"port":(\d+)/.exec(line);
      line = line.slice(line.lastIndexOf('\n') + 1);
      if (ready) resolve(Number(ready[1] ?? ready[2]));
    });
    child.once('exit', (code) => reject(new Error(`a server ended with ${code}: ${said}`)));
  });
}

function asker(child: ChildProcess) {
  type Answer = { id: number; answered?: ServerUsage | null; error?: string };
  const waiting = new Map<number, (answer: Answer) => void>();
  let asked = 0;
  child.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer));
  return (ask: Ask): Promise<ServerUsage | null> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const id = asked;
      const lost = () => reject(new Error('a server ended while it was measured'));
      child.once('exit', lost);
      waiting.set(id, ({ answered, error }) => {
        waiting.delete(id);
        child.off('exit', lost);
        if (error) reject(new Error(error));
        else resolve(answered ?? null);
      });
      child.send({ id, ...ask });
    });
}
