/** What a command of the command line is, and what commands share. */
import { once } from 'node:events';
import { type Config, readConfig } from '../config.ts';
import type { PlanFileError } from '../pricing/plan-file/plan-file.ts';

export type Command = {
  /** What comes after its name. */
  readonly usage: string;
  /** What it does, in one line. */
  readonly says: string;
  /** Answers the exit code; rejects where it could not be carried out. */
  readonly run: (args: string[]) => Promise<number>;
};

/** Exit code of a command whose answer is no: a plan file has errors. */
export const INVALID_PLAN_FILE = 1;

/** An argument that cannot be meant: told with the command's usage. */
export const wrongArgument = (message: string): Error =>
  Object.assign(new Error(message), { code: 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' });

export function configOfEnvironment(): Config {
  const read = readConfig(process.env);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.config;
}

/** Writes; resolves when the reader can take more. */
export async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}

export const formatPlanFileError = ({ file, path, reason }: PlanFileError): string =>
  [file, path, reason].filter(Boolean).join(': ');
