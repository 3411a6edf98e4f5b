/** Writes `dist/`: JavaScript with types, as ES modules and as CommonJS. `npm pack` makes a package of it. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const dist = join(folder, 'dist');
const tsc = join(folder, '../../node_modules/.bin/tsc');

rmSync(dist, { recursive: true, force: true });
for (const project of ['tsconfig.json', 'tsconfig.commonjs.json'])
  execFileSync(tsc, ['--project', join(folder, project)], { stdio: 'inherit' });

// The compiler renames imports in JavaScript only.
for (const file of globSync('**/*.d.ts', { cwd: dist })) {
  const path = join(dist, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/(\bfrom |\bimport\()(["'])(\.[^"']*)\.ts\2/g, '$1$2$3.js$2'));
}

const commonJs = { type: 'commonjs', sideEffects: false };
writeFileSync(join(dist, 'cjs/package.json'), `${JSON.stringify(commonJs)}\n`);
