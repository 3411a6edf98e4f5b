/** The program as it is installed: found through links, from any folder, and completed by shells. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { snippet } from '../docs/snippets.ts';
import { runScrip } from './run-scrip.ts';

const root = new URL('../..', import.meta.url).pathname;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-program-'));
  await symlink(join(root, 'bin/scrip'), join(directory, 'linked'));
  await symlink('linked', join(directory, 'scrip'));
});
afterAll(() => rm(directory, { recursive: true }));

/** In the folder with the link. */
const runShell = (command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const env = { PATH: `${directory}:${process.env['PATH']}` };
    execFile('bash', ['-c', command], { cwd: directory, env }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(stdout),
    );
  });

test('runs through links, and reads files of the folder where it is called', async () => {
  await writeFile(join(directory, 'plan.yaml'), 'plan_id: x\n');
  const shown = await runShell('scrip plans check plan.yaml || echo "exit $?"');
  expect(shown).toMatch(/^plan\.yaml: line 1: title: missing key$/m);
  expect(shown).toMatch(/^exit 1$/m);
});

test('says that its output cannot be written', async () => {
  const said = await runShell('scrip --help 2>&1 > /dev/full || echo "exit $?"');
  expect(said).toBe('scrip: the output cannot be written: ENOSPC\nexit 2\n');
});

test('makes no home of a user who has none', async () => {
  await runShell('HOME=$PWD/home scrip --version');
  expect(await readdir(directory)).not.toContain('home');
});

test.each([
  [['plans', 'pu'], ['publish']],
  [['acc'], ['account']],
  [['account', 'o'], ['open']],
  [['account', 'open', 'acme', '--pl'], ['--plan']],
  [['trace', 'acme/1', '--kind', 'res'], ['reservation']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['charge', 'acme', '--credits', ''], []],
])('after %j a shell may offer %j', async (words, offered) => {
  const { stdout } = await runScrip(['complete', '--', ...words], {});
  const lines = stdout.trimEnd().split('\n').slice(0, -1);
  expect(lines.map((line) => line.split('\t')[0])).toEqual(offered);
});

test('bash completes with the script that completion prints', async () => {
  const script = `
    ${snippet('docs/cli.md', 'source <(scrip completion bash)')}
    COMP_WORDS=(scrip plans pu) COMP_CWORD=2 COMP_LINE='scrip plans pu' COMP_POINT=14
    complete=$(complete -p scrip | sed -E 's/.*-F ([^ ]+).*/\\1/')
    $complete scrip pu plans
    echo "\${COMPREPLY[@]}"`;
  expect((await runShell(script)).trim()).toMatch(/^publish/);
});
