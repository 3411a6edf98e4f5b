/** The tour of the sandbox, with a sandbox of its own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patternOf, stepsOf } from './page.ts';
import { Reader } from './reader.ts';
import { root, SANDBOX } from './register.ts';

const PORT = 50051;

let reader: Reader;
beforeAll(async () => {
  reader = await Reader.begin();
  await reader.usePort(PORT);
});
afterAll(() => reader.end());

// A reader has fifteen minutes.
test(SANDBOX, { timeout: 900_000 }, async () => {
  const env = { ADMIN_PORT: 'none', SANDBOX_PAYMENTS_PORT: '0', WAIT_MAX_MS: '600000' };
  for (const step of stepsOf(readFileSync(join(root, SANDBOX), 'utf8'))) {
    if (step.kind === 'write') throw new Error('the tour writes no file');
    // The reader keeps its database elsewhere.
    const script = step.script.replaceAll('.data-sandbox', '"$DATA_DIRECTORY"');
    const output = await reader.run(script, { port: PORT, env });
    if (step.output !== null) expect(output).toMatch(patternOf(step.output));
  }
});
