/** Every command says how it is used, with examples. */
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { scrip } from '../../src/cli/scrip.ts';

const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length > 0 ? command.commands.flatMap(leavesOf) : [command];

const nameOf = (command: Command): string =>
  command.parent?.parent ? `${command.parent.name()} ${command.name()}` : command.name();

function helpOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  return help;
}

const commands = leavesOf(scrip).map((command) => ({ command, name: nameOf(command) }));

test.each(commands)(
  '$name says how it is used, what it does, and examples',
  ({ command, name }) => {
    const help = helpOf(command);
    const start = `scrip ${name}`;
    expect(help.split('\n')[0]?.startsWith(`usage: ${start}`)).toBe(true);
    expect(help.replaceAll(/\s+/g, ' ')).toContain(command.description().replaceAll(/\s+/g, ' '));
    expect(help).toContain(`\nexamples:\n  ${start}`);
    expect(help.split('\n').filter((line) => line.length > 130)).toEqual([]);
  },
);
