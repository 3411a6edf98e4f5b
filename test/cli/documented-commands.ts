/** Commands that pages show, and what is wrong with them. */
import { globSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../../src/cli/command.ts';
import { scrip } from '../../src/cli/scrip.ts';

const root = new URL('../..', import.meta.url).pathname;

export type Shown = {
  readonly words: readonly string[];
  /** It names a command within a sentence, and may leave out its arguments. */
  readonly isMention: boolean;
};

const NAMES = new Set(scrip.commands.map((command) => command.name()));

/** Sentences leave out the program, as in `plans list`. */
function withProgram(span: string): string {
  const [first = '', ...others] = span.split(' ');
  return NAMES.has(first) && others.length > 0 ? `scrip ${span}` : span;
}

/** As a shell splits them. */
export const wordsOf = (line: string): readonly string[] =>
  [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/["']/g, ''));

const OURS = /^(?:scrip|npm (?:run|start|test))(?=\s|$)/;

/** What a reader would type: lines of shell blocks, and code within sentences. */
export function commandsOf(markdown: string): readonly Shown[] {
  const blocks = [...markdown.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block);
  const prose = markdown.replaceAll(/^ *```.*?^ *```$/gms, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  const read = (texts: readonly string[], isMention: boolean) =>
    texts
      .flatMap((text) => text.replace(/(^|\s)#.*$/, '').split(/&&|[;|]/))
      .map((text) => text.trim().replace(/^npx (?=scrip\b)/, ''))
      .filter((text) => OURS.test(text))
      .map((text) => ({ words: wordsOf(text), isMention }));
  return [
    ...read(
      blocks.flatMap((block) => block.split('\n')),
      false,
    ),
    ...read(spans.map(withProgram), true),
  ];
}

const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** What keeps it from running; null: nothing. */
export function problemOf({ words, isMention }: Shown): string | null {
  const [program, ...rest] = words;
  if (program === 'scrip') return problemOfScrip(rest, isMention);
  const [name = '', ...options] = rest.filter((word) => word !== '--silent' && word !== 'run');
  if (!scripts[name]) return `there is no script ${name}`;
  // npm keeps options before `--` for itself.
  const [separator, ...args] = options;
  if (separator !== undefined && separator !== '--') return `npm takes ${separator} for itself`;
  if (name === 'scrip') return problemOfScrip(args, isMention || separator === undefined);
  return (
    args.map((arg) => problemOfArgument(name, arg)).find((problem) => problem !== null) ?? null
  );
}

/** Other programs read their options with parseArgs, by their names. */
function problemOfArgument(script: string, arg: string): string | null {
  if (!arg.startsWith('--')) return null;
  const [, ours, theirs] = /bin\/run (\S+)|node (\S+\/)main\.ts/.exec(scripts[script] ?? '') ?? [];
  const files = ours ? [`src/${ours}.ts`] : theirs ? globSync(`${theirs}*.ts`, { cwd: root }) : [];
  const source = files.map((file) => readFileSync(`${root}${file}`, 'utf8')).join('\n');
  const name = arg.slice(2);
  return new RegExp(`^ +'?${name}'?: \\{ type: `, 'm').test(source)
    ? null
    : `${script} has no option ${arg}`;
}

function problemOfScrip(words: readonly string[], isMention: boolean): string | null {
  const [command, args] = find(scrip, words);
  if (command.commands.length > 0)
    return args.length > 0 || !isMention ? `there is no command ${words.join(' ')}` : null;
  try {
    const { operands, unknown } = command.parseOptions([...args]);
    if (unknown.length > 0) return `there is no option ${unknown[0]}`;
    const { registeredArguments: expected } = command;
    const missing = expected.filter(({ required }, index) => required && index >= operands.length);
    if (missing.length > 0 && !isMention) return `${missing[0]?.name()} is missing`;
    if (operands.length > expected.length && !expected.at(-1)?.variadic)
      return `${operands.at(-1)} is too much`;
    return null;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.message;
  }
}

/** The command that the first words name, and the other words. */
function find(from: Command, words: readonly string[]): readonly [Command, readonly string[]] {
  const [first, ...rest] = words;
  const found = from.commands.find((one) => one.name() === first);
  return found ? find(found, rest) : [from, words];
}
