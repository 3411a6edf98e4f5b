/** Writes the pages of docs/reference/. With --check, fails if a file is not what it would write. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiPages } from './api-pages.ts';
import { planFilePage } from './plan-file-page.ts';

const folder = join(import.meta.dirname, '..');
const pages = new Map([...apiPages(), ['plan-file.md', planFilePage()]]);

for (const [name, page] of pages) {
  const file = join(folder, name);
  if (!process.argv.includes('--check')) writeFileSync(file, page);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== page) {
    process.stderr.write(`docs/reference/${name} is not up to date: run npm run reference\n`);
    process.exitCode = 1;
  }
}
