/** Writes docs/schema.sql. With --check, fails if the file is not what it would write. */
import { readFile, writeFile } from 'node:fs/promises';
import { schemaPage } from './schema-page.ts';

const file = new URL('../../docs/schema.sql', import.meta.url);
const page = schemaPage();
if (!process.argv.includes('--check')) await writeFile(file, page);
else if ((await readFile(file, 'utf8')) !== page) {
  process.stderr.write('docs/schema.sql is not up to date: run npm run schema\n');
  process.exitCode = 1;
}
