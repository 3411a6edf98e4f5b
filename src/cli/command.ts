/** What the commands of `scrip` share: how they are described, how they end, how they write. */
import { once } from 'node:events';
import { Command, CommanderError, Help, InvalidArgumentError } from 'commander';
import { VERSION } from '../telemetry/version.ts';

/** How people run it. */
const PROGRAM = 'scrip';

export type CommandText = {
  readonly description: string;
  /** Arguments of runs that are worth an example, for --help. */
  readonly examples: readonly string[];
};

/** A command without its arguments, options and action. */
export function command(name: string, { description, examples }: CommandText): Command {
  const made = new Command(name).description(description).configureHelp(HELP);
  made.addHelpText('after', () => {
    const lines = examples.map((args) => `  ${usageStart(made)}${args && ` ${args}`}`);
    return examples.length > 0 ? `\nexamples:\n${lines.join('\n')}` : '';
  });
  // Where help is shown because a command is missing, it is what was asked for.
  made.configureOutput({ writeErr: (text) => process.stdout.write(text), outputError: () => {} });
  made.exitOverride((error) => {
    throw HELP_CODES.has(error.code) ? error : new UsageError(error, made);
  });
  return made;
}

/** Several commands under one word. */
export function group(name: string, description: string, commands: readonly Command[]): Command {
  const made = command(name, { description, examples: [] });
  for (const one of commands) made.addCommand(one);
  return made;
}

export const program = (commands: readonly Command[]): Command =>
  group(PROGRAM, 'Bills in credits, from the command line.', commands).version(VERSION);

const HELP_CODES: ReadonlySet<string> = new Set([
  'commander.help',
  'commander.helpDisplayed',
  'commander.version',
]);

export const isHelp = (error: unknown): boolean =>
  error instanceof CommanderError && HELP_CODES.has(error.code);

/** Arguments that a command cannot work with. */
export class UsageError extends Error {
  readonly code: string;
  readonly command: Command;

  constructor({ message, code }: CommanderError, ofCommand: Command) {
    super(readable(message));
    this.code = code;
    this.command = ofCommand;
  }
}

/** A message of commander: on one line, without "error:" and without the dot of a sentence. */
const readable = (message: string): string =>
  message
    .replace(/^error: /, '')
    .replace(
      /^command-argument value ('.*') is invalid for argument '(.*?)'/s,
      "argument '<$2>' is invalid: $1",
    )
    .replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?')
    .replace(/\.$/, '');

/** How a command is called, for errors. */
export const usageOf = (of: Command): string => of.createHelp().commandUsage(of);

const HELP: Partial<Help> = {
  helpWidth: 100,
  styleTitle: (title) => title.toLowerCase(),
  commandUsage: (of) =>
    [
      usageStart(of),
      ...of.registeredArguments.map(argumentTerm),
      of.commands.length > 0 ? '<command>' : '[options]',
    ].join(' '),
  visibleCommands: (of) => of.commands.flatMap(leavesOf),
  subcommandTerm: (of) => [usageStart(of), ...of.registeredArguments.map(argumentTerm)].join(' '),
  subcommandDescription: (of) => of.description(),
  // That a text is empty, or an option not given, needs no words.
  optionDescription: (option) =>
    option.defaultValue instanceof Map ||
    String(option.defaultValue) === '' ||
    option.defaultValue === false
      ? option.description
      : new Help().optionDescription(option),
  // Usages are long: what a command does is on the line below.
  formatItem(term, termWidth, description, helper) {
    if (!term.startsWith(`${PROGRAM} `)) {
      const padded = `  ${term.padEnd(termWidth)}  `;
      const width = Math.max(40, (helper.helpWidth ?? 100) - padded.length);
      const lines = helper.boxWrap(description, width).split('\n');
      return `${padded}${lines.join(`\n${' '.repeat(padded.length)}`)}`.trimEnd();
    }
    const lines = helper.boxWrap(description, 90).split('\n');
    return `  ${term}\n      ${lines.join('\n      ')}`;
  },
};

const leavesOf = (of: Command): Command[] =>
  of.commands.length > 0 ? of.commands.flatMap(leavesOf) : [of];

function usageStart(of: Command): string {
  return of.parent ? `${usageStart(of.parent)} ${of.name()}` : of.name();
}

const argumentTerm = (argument: Command['registeredArguments'][number]): string => {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** An action whose result is the exit code. It throws `argumentError` for what its arguments must not be. */
export const exitWith =
  <Args extends readonly unknown[]>(action: (...args: Args) => Promise<number>) =>
  async (...args: readonly [...Args, ...unknown[]]): Promise<void> => {
    try {
      process.exitCode = await action(...(args as unknown as Args));
    } catch (error) {
      const ofCommand = args.at(-1);
      if (error instanceof InvalidArgumentError && ofCommand instanceof Command)
        ofCommand.error(error.message);
      throw error;
    }
  };

/** An error that is reported with the command's usage. */
export const argumentError = (message: string): Error => new InvalidArgumentError(message);

/** Writes; resolves when the stream accepts more. */
export async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}
