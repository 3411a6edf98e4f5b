/** An empty folder in which the tarball of the client package is installed, as its users do. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = new URL('../../clients/typescript', import.meta.url).pathname;

export type Tarball = {
  readonly file: string;
  readonly bytes: number;
  readonly remove: () => void;
};

/** What `npm pack` makes of the built package. */
export function packTarball(): Tarball {
  const folder = mkdtempSync(join(tmpdir(), 'scrip-tarball-'));
  const pack = ['pack', '--silent', '--pack-destination', folder];
  const name = execFileSync('npm', pack, { cwd: PACKAGE, encoding: 'utf8' }).trim();
  const file = join(folder, name.split('\n').at(-1) ?? '');
  return { file, bytes: statSync(file).size, remove: () => rmSync(folder, { recursive: true }) };
}

export class EmptyProject {
  readonly folder = mkdtempSync(join(tmpdir(), 'scrip-project-'));

  constructor(manifest: object) {
    this.write('package.json', JSON.stringify(manifest));
  }

  write(name: string, text: string) {
    writeFileSync(join(this.folder, name), text);
  }

  async install(...packages: readonly string[]) {
    const install = ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', [...install, ...packages], { cwd: this.folder });
  }

  /** Runs a program of the project, without the modules and settings of this repository. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const path = (process.env['PATH'] ?? '').split(delimiter);
    const own = path.filter((folder) => !folder.includes('node_modules'));
    const { stdout } = await run(program, args, {
      cwd: this.folder,
      env: { PATH: own.join(delimiter) },
    }).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${program} ${args.join(' ')}: ${error.stdout}${error.stderr}`);
    });
    return stdout;
  }

  remove() {
    rmSync(this.folder, { recursive: true });
  }
}
