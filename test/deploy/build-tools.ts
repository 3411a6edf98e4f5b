/** The globalSetup of vitest: builds what reads the files of deploy/, and says what is missing for it. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

const run = promisify(execFile);
const SOURCE = new URL('tools', import.meta.url).pathname;
/** Where they are built: outside of the checkout, which linters read. */
export const TOOLS = join(homedir(), '.cache/scrip-deploy-tools');

declare module 'vitest' {
  export interface ProvidedContext {
    /** Whether the Go programs of test/deploy/tools are built. */
    hasGo: boolean;
    /** Whether those of its requirements.txt are installed. */
    hasPython: boolean;
  }
}

export default async function setup(project: TestProject) {
  mkdirSync(TOOLS, { recursive: true });
  const hasGo = canRun('go', ['list', '-m']);
  if (hasGo) await buildPrograms();
  else report('Dockerfile, Compose and chart', 'go of 1.26 or newer');
  project.provide('hasGo', hasGo);

  const hasPython = canRun('python3', ['-m', 'venv', '--help']);
  if (hasPython) await installPrograms();
  else report('the linter of the Dockerfile and the schemas of Kubernetes', 'python3 with venv');
  project.provide('hasPython', hasPython);
}

const canRun = (program: string, args: readonly string[]): boolean =>
  spawnSync(program, args, {
    cwd: SOURCE,
    env: { ...process.env, GOTOOLCHAIN: 'local' },
    stdio: 'ignore',
  }).status === 0;

const report = (what: string, need: string) =>
  process.stderr.write(`skipped: ${what}, which need ${need}\n`);

/** Only the first build takes minutes: Go caches what it compiles. */
async function buildPrograms() {
  for (const [name, source] of [
    ['tools', '.'],
    ['helm', 'helm.sh/helm/v3/cmd/helm'],
  ] as const)
    await run('go', ['build', '-p', '2', '-o', join(TOOLS, name), source], { cwd: SOURCE });
}

async function installPrograms() {
  const venv = join(TOOLS, 'venv');
  await run('python3', ['-m', 'venv', venv]);
  const install = ['install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'];
  await run(join(venv, 'bin/pip'), install, { cwd: SOURCE });
}
