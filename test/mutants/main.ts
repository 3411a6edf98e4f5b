/**
 * `npm run mutants`: seeds one fault after the other into a copy of the sources and runs the tests that should detect
 * it. Ends with the faults that were missed; exit code 1 if there are any. `--only TEXT` seeds those with the
 * text in their names.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** What tests need of the project, beside its dependencies. */
const COPIED = ['src', 'test', 'proto', 'deploy', 'docs', 'bin', 'package.json', 'tsconfig.json'];
/** A fault can make a test go on for ever: its tests end after this time and so many times theirs without a fault. */
const TIMEOUT_MIN_MS = 2 * 60_000;
const TIMES = 5;
/** Of all tests without a fault. */
const FIRST_TIMEOUT_MS = 3 * 60 * 60_000;
/** What vitest writes of them. */
const REPORT = 'report.json';

type Outcome = 'caught' | 'missed' | 'caught: it never ends';
type Run = { readonly outcome: Outcome; readonly output: string };
/** Of the output of tests, its end is kept; of tests that fail without any fault, so much of it is shown. */
const KEPT = 100_000;
const SHOWN = 4_000;

async function copyProject(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'scrip-mutants-'));
  for (const name of COPIED) await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Whether the tests pass. */
async function runTests(
  copy: string,
  tests: readonly string[],
  timeoutMs: number,
  options: readonly string[] = [],
): Promise<Run> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const always = [vitest, 'run', '--config', 'test/vitest.config.ts', '--bail', '1'];
  const args = [...always, ...options, ...tests];
  const child = spawn(process.execPath, args, {
    cwd: copy,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT);
    });
  const pid = child.pid as number;
  const timer = setTimeout(() => process.kill(-pid, 'SIGKILL'), timeoutMs);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal === 'SIGKILL') return { outcome: 'caught: it never ends', output };
  return { outcome: code === 0 ? 'missed' : 'caught', output };
}

async function seed(copy: string, mutant: Mutant, timeoutMs: number): Promise<Run> {
  const { name, file, find, replace, tests } = mutant;
  const path = join(copy, file);
  const text = await readFile(path, 'utf8');
  if (text.split(find).length !== 2)
    throw new Error(`${name}: ${file} does not have exactly once: ${find}`);
  await writeFile(
    path,
    text.replace(find, () => replace),
  );
  try {
    return await runTests(copy, tests, timeoutMs);
  } finally {
    await writeFile(path, text);
  }
}

/** Runs the tests, which must pass, and says how long some of them may take with a fault. */
async function timeWithoutFault(
  copy: string,
  tests: readonly string[],
): Promise<(some: readonly string[]) => number> {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const { outcome, output } = await runTests(copy, tests, FIRST_TIMEOUT_MS, reporters);
  if (outcome !== 'missed')
    throw new Error(`the tests fail without any fault:\n${output.slice(-SHOWN)}`);
  const { testResults } = JSON.parse(await readFile(join(copy, REPORT), 'utf8')) as {
    readonly testResults: readonly { name: string; startTime: number; endTime: number }[];
  };
  return (some) => {
    const own = testResults.filter(({ name }) => some.some((path) => name.includes(path)));
    const taken = own.reduce((sum, { startTime, endTime }) => sum + endTime - startTime, 0);
    return TIMEOUT_MIN_MS + TIMES * taken;
  };
}

async function main(only: string): Promise<number> {
  const mutants = MUTANTS.filter(({ name }) => name.includes(only));
  const copy = await copyProject();
  const missed: string[] = [];
  try {
    const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
    const timeOf = await timeWithoutFault(copy, tests);
    for (const [index, mutant] of mutants.entries()) {
      const startedAt = performance.now();
      const { outcome, output } = await seed(copy, mutant, timeOf(mutant.tests));
      if (outcome === 'missed') missed.push(mutant.name);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      print(`${index + 1}/${mutants.length}  ${outcome}  ${mutant.name}  (${seconds} s)`);
      print(`      ${/^\s*FAIL .*$/m.exec(output)?.[0].trim() ?? ''}`);
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  print(`\nmutants: ${mutants.length - missed.length} caught, ${missed.length} missed`);
  for (const name of missed) print(`  missed: ${name}`);
  return missed.length === 0 ? 0 : 1;
}

const print = (text: string) => process.stdout.write(`${text}\n`);

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
process.exitCode = await main(values.only);
