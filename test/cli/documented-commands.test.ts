/** What pages tell operators to type can be typed: the commands, options and arguments are those that there are. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ELSEWHERE, TYPED } from '../docs/register.ts';
import { commandsOf, problemOf } from './documented-commands.ts';

const root = new URL('../..', import.meta.url).pathname;

/** Those of the register, and those that name commands in their sentences. */
const PAGES = [
  ...Object.keys(ELSEWHERE).filter((page) => Object.values(ELSEWHERE[page] ?? {}).includes(TYPED)),
  'deploy/observability/README.md',
  'docs/sandbox.md',
  'docs/telemetry.md',
];

describe.each(PAGES)('%s', (page) => {
  const shown = commandsOf(readFileSync(`${root}${page}`, 'utf8'));
  test('shows commands', () => expect(shown.length).toBeGreaterThan(0));

  test.each(shown.map((one) => ({ ...one, line: one.words.join(' ') })))('$line', (one) => {
    expect(problemOf(one)).toBe(null);
  });
});

describe('What cannot be typed is found:', () => {
  test.each([
    ['scrip traces acme/17', 'there is no command traces acme/17'],
    ['scrip plans', 'there is no command plans'],
    ['scrip trace', 'id is missing'],
    ['scrip trace acme 17', '17 is too much'],
    ['scrip refusals --caller', "option '--caller <name>' argument missing"],
    ['scrip refusals --plan verts', 'there is no option --plan'],
    ['scrip reservations --older-than long', /It must be such as 90s/],
    ['scrip trace x --kind entry', null],
    ['scrip trace x --kind number', /Allowed choices are trace/],
    ['npm run scrip -- balance', 'account is missing'],
    ['npm run scrip balance', 'npm takes balance for itself'],
    ['npm run --silent scrip -- balance acme', null],
    ['npm run observe', 'there is no script observe'],
    ['npm run verify -- --every', 'verify has no option --every'],
    ['npm start', null],
  ])('%s', (line, problem) => {
    const [shown] = commandsOf(`\`\`\`sh\n${line}    # why\n\`\`\`\n`);
    const found = shown && problemOf(shown);
    if (problem instanceof RegExp) expect(found).toMatch(problem);
    else expect(found).toBe(problem);
  });

  test('in a sentence, where a command may be named without its arguments', () => {
    const text =
      'Use `scrip trace`, `scrip trace --all` `plans lists` or `scrip plans`; not `npm run scrips`.';
    expect(commandsOf(text).map(problemOf)).toEqual([
      null,
      'there is no option --all',
      'there is no command plans lists',
      null,
      'there is no script scrips',
    ]);
  });
});
