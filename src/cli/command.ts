/** What a command of `npm run scrip` is, and what commands share. */
import { once } from 'node:events';

export type Command = {
  /** The arguments it takes. */
  readonly usage: string;
  /** What it does, for `--help`. */
  readonly description: string;
  /** Returns the exit code; rejects if the command could not run. */
  readonly run: (args: string[]) => Promise<number>;
};

/** Exit code of a command that found errors in a plan file. */
export const INVALID_PLAN_FILE = 1;

/** An error that is reported with the command's usage, as those of `parseArgs` are. */
export const argumentError = (message: string): Error =>
  Object.assign(new Error(message), { code: 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' });

/** Writes; resolves when the stream accepts more. */
export async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}
