/** Runs the programs that read the files of deploy/. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { TOOLS } from './build-tools.ts';

export const ROOT = new URL('../..', import.meta.url).pathname;

export type Ran = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs a program of test/deploy/tools, such as "helm" or "venv/bin/hadolint", in the root of the checkout. */
export async function runTool(
  program: string,
  args: readonly string[],
  input = '',
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const child = spawn(`${TOOLS}/${program}`, args, { cwd: ROOT, env: { ...process.env, ...env } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

/** The JSON that a subcommand of `tools` prints; throws with what it says otherwise. */
export async function readByTool<T>(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<T> {
  const { code, stdout, stderr } = await runTool('tools', args, '', env);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}
