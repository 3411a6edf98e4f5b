/** Writes what is made from the sources: `npm run observability`. */
import { writeFile } from 'node:fs/promises';
import { written } from './written.ts';

for (const [path, content] of Object.entries(written()))
  await writeFile(new URL(`../${path}`, import.meta.url), content);
