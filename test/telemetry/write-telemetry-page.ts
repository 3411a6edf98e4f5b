/** Writes docs/telemetry.md. With --check, fails if the file is not what it would write. */
import { readFile, writeFile } from 'node:fs/promises';
import { telemetryPage } from './telemetry-page.ts';

const file = new URL('../../docs/telemetry.md', import.meta.url);
const page = telemetryPage();
if (!process.argv.includes('--check')) await writeFile(file, page);
else if ((await readFile(file, 'utf8')) !== page) {
  process.stderr.write('docs/telemetry.md is not up to date: run npm run telemetry-page\n');
  process.exitCode = 1;
}
