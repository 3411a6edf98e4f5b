/** Runs a command in this process, with what it writes caught: a process of its own costs a second on a busy machine. */
import { run } from '../../src/cli/run.ts';

/** A line of what was written, and where to. */
export type Line = { readonly stream: 'stdout' | 'stderr'; readonly text: string };

export type Captured = { readonly exitCode: number; readonly lines: readonly Line[] };

/** Not for several commands at once: they share the environment and the streams. */
export async function capture(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Captured> {
  const written: { stream: Line['stream']; text: string }[] = [];
  const { env } = process;
  const restore = (['stdout', 'stderr'] as const).map((stream) => {
    const original = process[stream].write;
    process[stream].write = (chunk: string | Uint8Array) => {
      const last = written.at(-1);
      if (last?.stream === stream) last.text += chunk;
      else written.push({ stream, text: String(chunk) });
      return true;
    };
    return () => {
      process[stream].write = original;
    };
  });
  process.env = { PATH: env['PATH'], XDG_CONFIG_HOME: '/nowhere', NO_COLOR: '1', ...environment };
  try {
    const exitCode = await run(args);
    return { exitCode, lines: written.flatMap(linesOf) };
  } finally {
    process.env = env;
    // Otherwise that of the test run.
    process.exitCode = undefined;
    for (const undo of restore) undo();
  }
}

const linesOf = ({ stream, text }: Line): readonly Line[] =>
  text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => ({ stream, text: line }));
