/** The part of docs/cli.md that follows from the program: exit codes, and every command with its options. */
import type { Command } from 'commander';
import { usageOf } from '../../src/cli/command.ts';
import { MEANINGS } from '../../src/cli/exit-codes.ts';
import { scrip } from '../../src/cli/scrip.ts';

const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length > 0 ? command.commands.flatMap(leavesOf) : [command];

const all = leavesOf(scrip);

type Option = Command['options'][number];

const flagsOf = (command: Command): readonly string[] => command.options.map(({ flags }) => flags);

/** What every command that calls a service has. */
const COMMON: readonly Option[] = (() => {
  const some = all.find((command) => command.name() === 'estimate');
  const callers = all.filter((command) => flagsOf(command).includes('--address <host:port>'));
  return (some?.options ?? []).filter(({ flags }) =>
    callers.every((command) => flagsOf(command).includes(flags)),
  );
})();

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

const rows = (options: readonly (readonly [term: string, text: string])[]): string =>
  [
    '| | |',
    '| --- | --- |',
    ...options.map(([term, text]) => `| \`${term}\` | ${cell(text)} |`),
  ].join('\n');

const optionRow = ({ flags, description, mandatory, argChoices }: Option) =>
  [
    flags,
    [description, argChoices && `one of ${argChoices.join(', ')}`, mandatory && 'required']
      .filter(Boolean)
      .join('; '),
  ] as const;

/** As --help shows them. */
function examplesOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  const [, examples = ''] = /\nexamples:\n((?: {2}.*\n?)+)/.exec(help) ?? [];
  return examples.replaceAll(/^ {2}/gm, '').trimEnd();
}

function sectionOf(command: Command): string {
  const isCaller = COMMON.every((one) => flagsOf(command).includes(one.flags));
  const own = command.options.filter(
    ({ flags }) => !isCaller || !COMMON.some((one) => one.flags === flags),
  );
  const terms = [
    ...command.registeredArguments.map((one) => [one.name(), one.description] as const),
    ...own.map(optionRow),
  ].filter(([, text]) => text !== '');
  const path = usageOf(command).replace(/(?: [<[].*)$/, '');
  return [
    `### ${path}`,
    command.description(),
    ['```', usageOf(command), '```'].join('\n'),
    ...(terms.length > 0 ? [rows(terms)] : []),
    ...(isCaller
      ? ['And the [options of all that call a service](#options-of-all-that-call-a-service).']
      : []),
    ['```sh', examplesOf(command), '```'].join('\n'),
  ].join('\n\n');
}

export const cliPage = (): string =>
  [
    '## Exit codes',
    [
      '| code | meaning |',
      '| --- | --- |',
      ...MEANINGS.map((row) => `| ${row.join(' | ')} |`),
    ].join('\n'),
    '## Options of all that call a service',
    rows(COMMON.map(optionRow)),
    '## Commands',
    ...all.map(sectionOf),
  ].join('\n\n');
