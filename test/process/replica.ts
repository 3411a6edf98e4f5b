/**
 * Scrip as a process of its own, started as `npm start` starts it. A start takes a second of a quiet
 * processor and many of a busy one: tests that start some are given time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { vi } from 'vitest';
import { connect, type Scrip } from '../../src/client.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = new URL('../..', import.meta.url).pathname;

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Program = {
  readonly process: ChildProcess;
  /** What it said so far. */
  readonly said: { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
};

export type Replica = Scrip &
  Program & {
    readonly port: number;
    /** Another client, with connections of its own. */
    readonly connect: () => Scrip;
    readonly signal: (signal: NodeJS.Signals) => Promise<Ended>;
  };

/** Without it every start compiles the same files for another second. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'scrip-test-compile-cache');

const SERVICE = ['--import', './src/telemetry.ts', 'src/main.ts'];

/** Runs one of the project's programs. Nothing of the environment of the tests gets into it. */
export function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE, ...env },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  // 'close', not 'exit': then all it said has been read.
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }));
  return { process: child, said, ended };
}

export const startService = (
  env: Readonly<Record<string, string>>,
  imports: readonly string[] = [],
): Program =>
  startProgram([...imports.flatMap((file) => ['--import', file]), ...SERVICE], {
    HOST: '127.0.0.1',
    PORT: '0',
    ...env,
  });

export const migrate = (env: Readonly<Record<string, string>>): Program =>
  startProgram(['src/migrate.ts'], env);

/** Resolves when the service says that it is ready; rejects with its words if it ends instead. */
export async function startReplica(
  env: Readonly<Record<string, string>>,
  imports: readonly string[] = [],
): Promise<Replica> {
  const program = startService(env, imports);
  const port = await Promise.race([portOf(program), endedEarly(program)]);
  const address = `127.0.0.1:${port}`;
  const scrip = connect(address, { caller: 'test' });
  return {
    ...program,
    ...scrip,
    port,
    connect: () => connect(address, { caller: 'test' }),
    async signal(signal) {
      program.process.kill(signal);
      const ended = await program.ended;
      scrip.close();
      return ended;
    },
  };
}

async function portOf({ said, process: { exitCode } }: Program): Promise<number> {
  while (exitCode === null) {
    const ready = logOf(said.stdout).find(({ msg }) => msg === 'ready');
    if (typeof ready?.['port'] === 'number') return ready['port'];
    await sleep(10);
  }
  return await new Promise(() => {});
}

async function endedEarly({ ended }: Program): Promise<never> {
  const { code, signal, stderr } = await ended;
  throw new Error(`the service ended with ${code ?? signal}: ${stderr}`);
}

/** The lines of the log, as objects; lines meant for people are left out. */
export function logOf(stdout: string): readonly Readonly<Record<string, unknown>>[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

/** Ends a program if it still runs: for `afterEach`, where a test may have failed half-way. */
export async function end({ process: child, ended }: Program): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}
