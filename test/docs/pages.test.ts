/** A reader does what the pages of docs/ say, one after the other, and sees what they say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StripeFake } from '../payments/stripe-fake.ts';
import { patternOf, stepsOf } from './page.ts';
import { Reader } from './reader.ts';
import { READ, root } from './register.ts';

/** What pages start, and where they say that it listens. */
const PORTS: Readonly<Record<string, number>> = { 'docs/quick-start.md': 50051 };
const EDGE = 8081;

let reader: Reader;
let stripe: StripeFake;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  reader = await Reader.begin();
  for (const port of [...Object.values(PORTS), EDGE]) await reader.usePort(port);
});
afterAll(async () => {
  await reader.end();
  await stripe.stop();
});

test.each(READ)('%s', async (page) => {
  const env = { ADMIN_PORT: 'none', WAIT_MAX_MS: '600000', ...stripe.env };
  for (const step of stepsOf(readFileSync(join(root, page), 'utf8')))
    if (step.kind === 'write') await reader.write(step.file, step.content);
    else {
      const output = await reader.run(step.script, { port: PORTS[page] ?? EDGE, env });
      if (step.output !== null) expect(output).toMatch(patternOf(step.output));
    }
});
