/** Runs `scrip …` as a process. */
import { execFile } from 'node:child_process';

export const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export const runScrip = (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> =>
  new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'], ...env }, maxBuffer: 1e9 };
    const child = execFile(process.execPath, [MAIN, ...args], options, (_, stdout, stderr) =>
      resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
  });
