/** The service as a process of its own, and the other programs of the project. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Scrip } from '../../src/client.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { plansOfDeploy } from '../service.ts';

const root = new URL('../..', import.meta.url).pathname;

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Program = {
  readonly process: ChildProcess;
  /** Its output so far. */
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
};

export type Replica = Scrip &
  Program & {
    readonly port: number;
    /** Port for Stripe's webhooks; NaN if there is none. */
    readonly webhookPort: number;
    /** Port for metrics and probes; NaN if there is none. */
    readonly adminPort: number;
    /** Another client, with connections of its own. */
    readonly connect: () => Scrip;
    /** Sends the signal and resolves when the process has ended. */
    readonly signal: (signal: NodeJS.Signals) => Promise<Ended>;
  };

/** Time limit of what happens soon, also where both cores are busy. */
export const SOON = { timeout: 60_000 };

/** Saves each process a second of compiling the same files. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'scrip-test-compile-cache');

/** A busy machine is no overload. */
const PATIENT = { WAIT_MAX_MS: '600000' };

/** Runs a program of the project, without the environment variables of the tests. */
export function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE, ...PATIENT, ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  // 'close', not 'exit': by then all its output has been read.
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }));
  return { process: child, output, ended };
}

export const startService = (
  env: Readonly<Record<string, string>>,
  imports: readonly string[] = [],
): Program =>
  startProgram([...imports.flatMap((file) => ['--import', file]), 'src/main.ts'], {
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    ...env,
  });

export const migrate = (env: Readonly<Record<string, string>>): Program =>
  startProgram(['src/migrate.ts'], env);

/** Publishes the plans of deploy/ in the database of DATABASE_URL, as `owner` if that is another user, and starts a replica on it. */
export async function startReplica(
  env: Readonly<Record<string, string>>,
  imports: readonly string[] = [],
  owner: string | undefined = env['DATABASE_URL'],
): Promise<Replica> {
  if (owner) await publishAt(owner, await plansOfDeploy(), Date.now());
  return await startPublished(env, imports);
}

/** Resolves when the service logs that it is ready; rejects with its stderr if it ends instead. */
export async function startPublished(
  env: Readonly<Record<string, string>>,
  imports: readonly string[] = [],
): Promise<Replica> {
  const program = startService(env, imports);
  const ready = await Promise.race([readyLineOf(program), endedEarly(program)]);
  const port = Number(ready['port']);
  const address = `127.0.0.1:${port}`;
  const scrip = connect(address, { caller: 'test' });
  return {
    ...program,
    ...scrip,
    port,
    webhookPort: Number(ready['webhook_port']),
    adminPort: Number(ready['admin_port']),
    connect: () => connect(address, { caller: 'test' }),
    async signal(signal) {
      program.process.kill(signal);
      const ended = await program.ended;
      scrip.close();
      return ended;
    },
  };
}

/** The log line `ready`. Never resolves if the process ends without it. */
function readyLineOf({ output, process: child }: Program): Promise<LogLine> {
  return new Promise((resolve) => {
    const read = () => {
      const line = logOf(output.stdout).find(({ msg }) => msg === 'ready');
      if (!line) return;
      child.stdout?.off('data', read);
      resolve(line);
    };
    child.stdout?.on('data', read);
  });
}

async function endedEarly({ ended }: Program): Promise<never> {
  const { code, signal, stderr } = await ended;
  throw new Error(`the service ended with ${code ?? signal}: ${stderr}`);
}

export type LogLine = Readonly<Record<string, unknown>>;

/** The log's lines as objects, without the lines meant for people. */
export function logOf(stdout: string): readonly LogLine[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

/** Kills a program if it still runs, also after a test that failed. */
export async function end({ process: child, ended }: Program): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}
