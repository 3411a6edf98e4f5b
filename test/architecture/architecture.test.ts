/** The import rules of src/ hold. dependency-cruiser reads the imports, with swc as its parser. */
import { globSync, readFileSync } from 'node:fs';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { beforeAll, expect, test } from 'vitest';
import { CLOCK_READERS, LAYERS, RULES } from './rules.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

let result: ICruiseResult;

beforeAll(async () => {
  const { output } = await cruise(
    ['src'],
    {
      baseDir: ROOT,
      // The default parsers need the compiler's JavaScript API, which TypeScript 7 does not have. They
      // would find no modules, and every rule would hold.
      parser: 'swc',
      tsPreCompilationDeps: true, // type-only imports, too
      doNotFollow: { path: 'node_modules' },
      validate: true,
      ruleSet: { forbidden: [...RULES] },
    },
    { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  );
  if (typeof output === 'string') throw new Error(output);
  result = output;
});

test('every module of src/ is read, with its imports', () => {
  const read = result.modules.filter(({ source }) => source.startsWith('src/'));
  const files = globSync('src/**/*.ts', { cwd: ROOT });
  expect(read.map(({ source }) => source).toSorted()).toEqual(files.toSorted());

  const main = read.find(({ source }) => source === 'src/main.ts');
  const imported = main?.dependencies.map(({ resolved }) => resolved);
  expect(imported).toContain('src/service.ts');
  expect(imported).toContain('node_modules/pino/pino.js');
});

test('every import is resolved', () => {
  const unresolved = result.modules.filter(({ couldNotResolve }) => couldNotResolve);
  expect(unresolved.map(({ source }) => source)).toEqual([]);
});

test('every room is in exactly one layer', () => {
  const names = globSync('src/*', { cwd: ROOT }).map((path) => path.slice(4).replace(/\.ts$/, ''));
  expect(LAYERS.flat().toSorted()).toEqual(names.toSorted());
});

test('only these files read a clock themselves', () => {
  const reads =
    /Date\.now\b|new Date\(\)|performance\.now|hrtime|clock_timestamp|current_timestamp/;
  const sqlNow = /(?<![.\w])now\(\)(?!:)/;
  const readers = globSync('src/**/*.ts', { cwd: ROOT, exclude: ['src/gen/**'] }).filter((file) => {
    const text = readFileSync(`${ROOT}${file}`, 'utf8');
    return reads.test(text) || sqlNow.test(text);
  });
  expect(readers.toSorted()).toEqual(Object.keys(CLOCK_READERS).toSorted());
});

test('no rule is broken', () => {
  const broken = result.summary.violations.map(
    ({ rule, from, to, cycle }) =>
      `${rule.name}: ${[from, ...(cycle?.map(({ name }) => name) ?? [to])].join(' → ')}`,
  );
  expect(broken).toEqual([]);
});
