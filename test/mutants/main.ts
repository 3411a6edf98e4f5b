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
/** A fault can make a test wait for ever. */
const TIMEOUT_MS = 10 * 60_000;

type Outcome = 'caught' | 'missed' | 'caught: it never ends';

async function copyProject(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'scrip-mutants-'));
  for (const name of COPIED) await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Whether the tests pass. */
async function runTests(copy: string, tests: readonly string[]): Promise<Outcome> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--config', 'test/vitest.config.ts', '--bail', '1', ...tests];
  const child = spawn(process.execPath, args, { cwd: copy, stdio: 'ignore', detached: true });
  const pid = child.pid as number;
  const timer = setTimeout(() => process.kill(-pid, 'SIGKILL'), TIMEOUT_MS);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal === 'SIGKILL') return 'caught: it never ends';
  return code === 0 ? 'missed' : 'caught';
}

async function seed(copy: string, { name, file, find, replace, tests }: Mutant): Promise<Outcome> {
  const path = join(copy, file);
  const text = await readFile(path, 'utf8');
  if (text.split(find).length !== 2)
    throw new Error(`${name}: ${file} does not have exactly once: ${find}`);
  await writeFile(
    path,
    text.replace(find, () => replace),
  );
  try {
    return await runTests(copy, tests);
  } finally {
    await writeFile(path, text);
  }
}

async function main(only: string): Promise<number> {
  const mutants = MUTANTS.filter(({ name }) => name.includes(only));
  const copy = await copyProject();
  const missed: string[] = [];
  try {
    const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
    if ((await runTests(copy, tests)) !== 'missed')
      throw new Error('the tests fail without any fault');
    for (const [index, mutant] of mutants.entries()) {
      const startedAt = performance.now();
      const outcome = await seed(copy, mutant);
      if (outcome === 'missed') missed.push(mutant.name);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      print(`${index + 1}/${mutants.length}  ${outcome}  ${mutant.name}  (${seconds} s)`);
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
