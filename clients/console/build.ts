/**
 * Writes the console's page and program to `dist/console/`: index.html, and assets whose names have a hash of
 * their content. It does nothing where they are up to date. `bin/run` runs it before the service starts from
 * its sources.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const folder = import.meta.dirname;
const root = join(folder, '../..');
const out = join(root, 'dist/console');
const hashFile = join(out, 'inputs.sha256');

/** Hash of everything that the program is made of; the lock file names the versions of its libraries. */
function inputsHash(): string {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  const files = globSync('{build.ts,src/**/*.*}', { cwd: folder, exclude: ['src/gen/**'] });
  for (const file of files.toSorted())
    hash.update(`${file}\n`).update(readFileSync(join(folder, file)));
  return hash.digest('hex');
}

const isUpToDate = (hash: string): boolean =>
  existsSync(join(out, 'index.html')) &&
  existsSync(hashFile) &&
  readFileSync(hashFile, 'utf8') === hash;

async function buildConsole() {
  const { metafile } = await build({
    entryPoints: [join(folder, 'src/main.tsx'), join(folder, 'src/icon.svg')],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    outdir: join(out, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.svg': 'copy' },
    format: 'esm',
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const assets = Object.keys(metafile.outputs).map((path) => basename(path));
  const named = (end: string): string => {
    const found = assets.find((name) => name.endsWith(end));
    if (!found) throw new Error(`the build of the console made no ${end}`);
    return `/console/assets/${found}`;
  };
  const page = readFileSync(join(folder, 'src/index.html'), 'utf8')
    .replace('{{script}}', named('.js'))
    .replace('{{style}}', named('.css'))
    .replace('{{icon}}', named('.svg'));
  write('index.html', page);
  for (const name of readdirSync(join(out, 'assets')))
    if (!assets.includes(name)) rmSync(join(out, 'assets', name));
}

/** A server that reads the file meanwhile gets all of it. */
function write(name: string, text: string) {
  const path = join(out, name);
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

const hash = inputsHash();
if (!isUpToDate(hash)) {
  mkdirSync(out, { recursive: true });
  await buildConsole();
  write('inputs.sha256', hash);
}
