/** docs/performance.md names options, cases, operations and comparisons that there are. */
import { expect, test } from 'vitest';
import { wordsOf } from '../cli/documented-commands.ts';
import { codeOf } from '../docs/snippets.ts';
import { casesNamed } from './cases.ts';
import { readOptions as readComparison } from './compare/options.ts';
import { comparisons } from './cost/comparisons.ts';
import { costOperations } from './cost/operations.ts';
import { readOptions } from './options.ts';

/** What --only accepts besides the names of cases. */
const GROUPS = ['client', 'growth', 'two_processes', 'cells', 'soak'];

const lines = codeOf('docs/performance.md', 'sh').flatMap((block) => block.trim().split('\n'));

test.each(lines)('%s', (line) => {
  const [npm, run, script, separator, ...args] = wordsOf(line.replace(/ +#.*/, ''));
  expect([npm, run]).toEqual(['npm', 'run']);
  expect(separator ?? '--').toBe('--');
  if (script === 'bench:compare' || script === 'bench:telemetry') {
    expect(readComparison(args)).toMatchObject({ cases: expect.anything() });
    return;
  }
  expect(script).toBe('bench');
  const options = readOptions(args, '/tmp');
  if (options === 'help') throw new Error('it shows the help');
  const named = options.cost
    ? [...costOperations, ...comparisons].map(({ name }) => name)
    : [...GROUPS, ...casesNamed([], []).map(({ name }) => name)];
  expect(named).toEqual(expect.arrayContaining([...options.only]));
});
