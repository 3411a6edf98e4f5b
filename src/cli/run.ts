/** Runs a command, and reports how it failed in one line. */
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { suggestion } from '../nearest-name.ts';
import { visible } from '../visible-text.ts';
import { isHelp, UsageError, usageOf } from './command.ts';
import { complete } from './completion.ts';
import { FAILED } from './exit-codes.ts';
import { scrip } from './scrip.ts';
import { CallError } from './service-call.ts';

/** The exit code of a command. `args` are what follows "scrip". */
export async function run(args: readonly string[]): Promise<number> {
  process.exitCode = 0;
  try {
    // What the completion of a shell asks for, with every press of a key.
    if (args[0] === 'complete') complete(scrip, args.slice(args.indexOf('--') + 1));
    else await scrip.parseAsync(requireKnown(args), { from: 'user' });
  } catch (error) {
    if (!isHelp(error)) {
      const name = styleText('red', 'scrip:', { stream: process.stderr });
      process.stderr.write(`${name} ${visible(messageOf(error))}\n`);
      process.exitCode = error instanceof CallError ? error.exitCode : FAILED;
    }
  }
  return Number(process.exitCode);
}

/** Where help is asked for, commander would show that of the program for a command that does not exist. */
function requireKnown(args: readonly string[]): readonly string[] {
  const asked = args[0] === 'help' ? [...args.slice(1), '--help'] : args;
  const [name = ''] = asked;
  const names = scrip.commands.map((one) => one.name());
  if (name !== '' && !name.startsWith('-') && !names.includes(name))
    throw new Error(noSuchCommand(name, name, names));
  return asked;
}

/** One line for people. */
function messageOf(error: unknown): string {
  if (error instanceof UsageError) {
    const { code, command, message } = error;
    if (code === 'commander.unknownCommand') return noSuchCommandOf(command);
    return `${message}; usage: ${usageOf(command)}`;
  }
  const { message, code, path } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' && path) return `there is no file ${path}`;
  // When every address of a host refuses the connection, Node's error has only a code.
  return message || String(code);
}

function noSuchCommandOf(group: Command): string {
  const [sent = ''] = group.args;
  const names = group.commands.map((one) => one.name());
  return noSuchCommand(`${group.name()} ${sent}`, sent, names, `; there are ${names.join(', ')}`);
}

/** `otherwise` is said where no name is near. */
function noSuchCommand(
  path: string,
  sent: string,
  names: readonly string[],
  otherwise = '',
): string {
  const near = suggestion(sent, names).text || otherwise;
  return `there is no command "${path}"${near}; --help lists the commands`;
}
