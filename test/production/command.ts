/** A command as a process, with its output. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

export type Ended = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Command = {
  readonly ended: Promise<Ended>;
  /** Resolves with the first match in its output; rejects if it ends without one. */
  readonly waitFor: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Sends SIGTERM and resolves when it has ended. */
  readonly stop: () => Promise<Ended>;
};

export function startCommand(
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'>,
): Command {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  const ended = once(child, 'close').then(([code]): Ended => ({ code, ...output }));
  return {
    ended,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const read = () => {
          const found = pattern.exec(output.stdout);
          if (found) resolve(found);
        };
        child.stdout.on('data', read);
        read();
        void ended.then(() => reject(new Error(`${output.stdout}${output.stderr}`)));
      }),
    async stop() {
      child.kill('SIGTERM');
      return await ended;
    },
  };
}
